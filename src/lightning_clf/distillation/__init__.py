"""Learning of a teacher what the labels do not say."""

from lightning_clf.distillation.distillation import Distillation

__all__ = ["Distillation"]
