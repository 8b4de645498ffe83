"""Scores and targets to loss terms."""

from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.asymmetric import AsymmetricLoss
from lightning_clf.losses.base import Loss
from lightning_clf.losses.cross_entropy import BCELoss, CrossEntropyLoss
from lightning_clf.losses.focal import BinaryFocalLoss, FocalLoss
from lightning_clf.losses.mse import MSELoss
from lightning_clf.losses.weights import ClassWeights, class_weights

__all__ = [
    "AsymmetricLoss",
    "BCELoss",
    "BinaryFocalLoss",
    "ClassWeights",
    "CrossEntropyLoss",
    "FocalLoss",
    "Loss",
    "LossTerms",
    "MSELoss",
    "class_weights",
]
