"""Scores and targets to loss terms."""

from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.asymmetric import AsymmetricLoss
from lightning_clf.losses.base import Loss
from lightning_clf.losses.contrastive import (
    CosineSimilarityLoss,
    EmbeddingLoss,
    MarginContrastiveLoss,
    SupervisedContrastiveLoss,
    TripletLoss,
)
from lightning_clf.losses.cross_entropy import BCELoss, CrossEntropyLoss
from lightning_clf.losses.dice import DiceLoss
from lightning_clf.losses.distribution_balanced import DistributionBalancedLoss
from lightning_clf.losses.focal import BinaryFocalLoss, FocalLoss
from lightning_clf.losses.generalized_cross_entropy import GeneralizedCrossEntropyLoss
from lightning_clf.losses.ldam import LDAMLoss
from lightning_clf.losses.logit_adjusted import LogitAdjustedLoss
from lightning_clf.losses.mse import MSELoss
from lightning_clf.losses.weighted_sum import WeightedSum
from lightning_clf.losses.weights import ClassWeights, class_weights

__all__ = [
    "AsymmetricLoss",
    "BCELoss",
    "BinaryFocalLoss",
    "ClassWeights",
    "CosineSimilarityLoss",
    "CrossEntropyLoss",
    "DiceLoss",
    "DistributionBalancedLoss",
    "EmbeddingLoss",
    "FocalLoss",
    "GeneralizedCrossEntropyLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "Loss",
    "LossTerms",
    "MSELoss",
    "MarginContrastiveLoss",
    "SupervisedContrastiveLoss",
    "TripletLoss",
    "WeightedSum",
    "class_weights",
]
