"""A teacher's answers in a fit: looked for before it, put beside each batch, and compared with the student's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from lightning_clf.batch import Batch
from lightning_clf.data import BaseDataModule
from lightning_clf.distillation.answers import Answers
from lightning_clf.distillation.asking import Machine, ask
from lightning_clf.distillation.distillation import Distillation
from lightning_clf.distillation.soft_loss import mean_logits, taught
from lightning_clf.distillation.teacher import Teacher
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms


def prepare_lessons(distillation: Distillation, data: BaseDataModule[Any], machine: Machine) -> list[str]:
    """Have every teacher answer train, on one process for all.

    Returns:
        The names of the folders in the cache that hold their answers.

    Raises:
        InputError: If a teacher is not to be had, or is for other labels.
    """
    return [ask(Teacher.load(name, data.labels), data, "train", machine) for name in distillation.teachers]


class Lessons:
    """The answers of all teachers, open.

    Args:
        distillation: What is asked of them.
        kind: The kind of label.
        answers: Those of each.
    """

    def __init__(self, distillation: Distillation, kind: Kind, answers: list[Answers]) -> None:
        self.distillation, self.kind, self.answers = distillation, kind, answers

    def put_beside(self, batch: Batch) -> Batch:
        """A batch with what the teachers say of it."""
        words = batch.words()[0].shape[1] if self.kind == "tags" else None
        soft = mean_logits([answers.of(batch.example_ids, words) for answers in self.answers], self.kind)
        return replace(batch, soft=soft.squeeze(-1) if self.kind == "score" else soft)

    def terms(self, scores: Tensor, hard: LossTerms, batch: Batch) -> LossTerms:
        """The loss to labels and teachers together."""
        asked = self.distillation
        return taught(scores, hard, batch, self.kind, temperature=asked.temperature, weight=asked.weight)
