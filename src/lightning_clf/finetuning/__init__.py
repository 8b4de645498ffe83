"""What decides how weights move: parameter groups and learning-rate schedules."""

from lightning_clf.finetuning.parameters import parameter_groups
from lightning_clf.finetuning.schedules import ConstantSchedule, CosineSchedule, LinearSchedule, Schedule

__all__ = ["ConstantSchedule", "CosineSchedule", "LinearSchedule", "Schedule", "parameter_groups"]
