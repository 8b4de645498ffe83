"""What hooks into the Trainer."""

from lightning_clf.callbacks.best import BestCheckpoint
from lightning_clf.callbacks.early_stopping import TaskEarlyStopping
from lightning_clf.callbacks.figure_logger import FigureLogger
from lightning_clf.callbacks.report import ClassReport

__all__ = ["BestCheckpoint", "ClassReport", "FigureLogger", "TaskEarlyStopping"]
