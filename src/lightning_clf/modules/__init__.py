"""LightningModules, one for each kind of task."""

from lightning_clf.modules.base import ClassifierModule
from lightning_clf.modules.multi_label import MultiLabelClassifier
from lightning_clf.modules.multi_task import MultiTaskClassifier
from lightning_clf.modules.setfit import SetFitClassifier
from lightning_clf.modules.similarity import SimilarityRegressor
from lightning_clf.modules.single_label import SingleLabelClassifier
from lightning_clf.modules.tasks import TaskOptions
from lightning_clf.modules.token import TokenClassifier
from lightning_clf.modules.trained import TrainedModule

__all__ = [
    "ClassifierModule",
    "MultiLabelClassifier",
    "MultiTaskClassifier",
    "SetFitClassifier",
    "SimilarityRegressor",
    "SingleLabelClassifier",
    "TaskOptions",
    "TokenClassifier",
    "TrainedModule",
]
