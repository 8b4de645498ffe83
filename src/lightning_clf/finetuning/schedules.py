"""Learning-rate schedules: a factor on the learning rate for each optimiser step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from lightning_clf.component import Component


class Schedule(Component, ABC):
    """A factor for each step, after a linear rise from 0 over the warm-up."""

    def factor(self, step: int, warmup_steps: int, total_steps: int) -> float:
        """The factor on the learning rate at an optimiser step, counted from 0."""
        if step < warmup_steps:
            return step / max(1, warmup_steps)
        return self.after_warmup(min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps)))

    @abstractmethod
    def after_warmup(self, progress: float) -> float:
        """The factor once `progress` of the steps after the warm-up is done, from 0 to 1."""


class LinearSchedule(Schedule):
    """From 1 to 0 in a straight line: BERT's own."""

    def after_warmup(self, progress: float) -> float:
        """1 − progress."""
        return 1.0 - progress


class CosineSchedule(Schedule):
    """From 1 to 0 along half a cosine (Loshchilov and Hutter 2017)."""

    def after_warmup(self, progress: float) -> float:
        """½ (1 + cos π·progress)."""
        return 0.5 * (1.0 + math.cos(math.pi * progress))


class ConstantSchedule(Schedule):
    """1 all along."""

    def after_warmup(self, progress: float) -> float:
        """1."""
        return 1.0
