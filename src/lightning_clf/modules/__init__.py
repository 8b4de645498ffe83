"""LightningModules, one for each kind of task."""

from lightning_clf.modules.base import ClassifierModule
from lightning_clf.modules.multi_label import MultiLabelClassifier
from lightning_clf.modules.setfit import SetFitClassifier
from lightning_clf.modules.similarity import SimilarityRegressor
from lightning_clf.modules.single_label import SingleLabelClassifier
from lightning_clf.modules.token import TokenClassifier

__all__ = [
    "ClassifierModule",
    "MultiLabelClassifier",
    "SetFitClassifier",
    "SimilarityRegressor",
    "SingleLabelClassifier",
    "TokenClassifier",
]
