"""What decides how weights move: parameter groups and learning-rate schedules."""

from lightning_clf.finetuning.optimizer import adamw, parameter_groups
from lightning_clf.finetuning.schedules import ConstantSchedule, CosineSchedule, LinearSchedule, Schedule

__all__ = ["ConstantSchedule", "CosineSchedule", "LinearSchedule", "Schedule", "adamw", "parameter_groups"]
