"""What decides how weights move: what is frozen, parameter groups and learning-rate schedules."""

from lightning_clf.finetuning.adapters import adapter_scaling, merged
from lightning_clf.finetuning.lora import LoRA
from lightning_clf.finetuning.optimizer import adamw, parameter_groups
from lightning_clf.finetuning.policy import FineTuning
from lightning_clf.finetuning.schedules import ConstantSchedule, CosineSchedule, LinearSchedule, Schedule

__all__ = [
    "ConstantSchedule",
    "CosineSchedule",
    "FineTuning",
    "LinearSchedule",
    "LoRA",
    "Schedule",
    "adamw",
    "adapter_scaling",
    "merged",
    "parameter_groups",
]
