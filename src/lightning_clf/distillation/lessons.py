"""A teacher in a fit: what it says, beside each batch or in each step, is compared with what the student says."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lightning_clf.batch import Batch
from lightning_clf.data import BaseDataModule
from lightning_clf.data.encoded import fingerprint
from lightning_clf.distillation.answers import Answers
from lightning_clf.distillation.asking import Machine, ask
from lightning_clf.distillation.distillation import Distillation, is_file
from lightning_clf.distillation.layers import LayerLoss, Seen, watching
from lightning_clf.distillation.soft_labels import ask_file
from lightning_clf.distillation.soft_loss import Places, mean_logits, taught
from lightning_clf.distillation.teacher import KEY, Teacher
from lightning_clf.errors import InputError
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.network import Network, set_attention
from lightning_clf.scorer import Runnable


def ask_all(distillation: Distillation, data: BaseDataModule[Any], machine: Machine) -> tuple[str, ...]:
    """Have every teacher answer the rows of train, on one process for all.

    Returns:
        The names of the folders in the cache that hold their answers.

    Raises:
        InputError: If a teacher is not to be had, or is for other labels.
    """
    return tuple(
        ask_file(name, data) if is_file(name) else ask(Teacher.load(name, data.labels), data, machine)
        for name in distillation.teachers
    )


class Lessons(ABC):
    """What a step has of its teachers.

    Args:
        distillation: What is asked of them.
        kind: The kind of label.
    """

    def __init__(self, distillation: Distillation, kind: Kind) -> None:
        self.distillation, self.kind = distillation, kind

    @contextlib.contextmanager
    def watching(self, student: Network) -> Iterator[Seen | None]:
        """Keep what the student computes on the way, where it is compared."""
        yield None

    @abstractmethod
    def terms(self, scores: Tensor, hard: LossTerms, batch: Batch, seen: Seen | None) -> LossTerms:
        """The loss to labels and teachers together.

        Args:
            scores: The student's.
            hard: Their loss to the labels there are.
            batch: The batch.
            seen: What `watching` kept.
        """

    def _taught(self, scores: Tensor, hard: LossTerms, batch: Batch) -> LossTerms:
        asked = self.distillation
        return taught(scores, hard, batch, self.kind, temperature=asked.temperature, weight=asked.weight)


class KnownLessons(Lessons):
    """Answers that were computed before.

    Args:
        answers: Those of each teacher.
    """

    def __init__(self, distillation: Distillation, kind: Kind, answers: list[Answers]) -> None:
        super().__init__(distillation, kind)
        self.answers = answers

    def put_beside(self, batch: Batch) -> Batch:
        """A batch with what the teachers say of it."""
        words = batch.words()[0].shape[1] if self.kind == "tags" else None
        soft = mean_logits([answers.of(batch.example_ids, words) for answers in self.answers], self.kind)
        return replace(batch, soft=soft.squeeze(-1) if self.kind == "score" else soft)

    def terms(self, scores: Tensor, hard: LossTerms, batch: Batch, seen: Seen | None) -> LossTerms:
        """The loss to labels and answers."""
        return self._taught(scores, hard, batch)


class LayerLessons(Lessons):
    """A teacher that is computed in every step.

    Args:
        student: The student, whose network is changed so that all it computes is seen.

    Attributes:
        loss: What the layers cost; it may have parameters, which are trained with the student.

    Raises:
        InputError: If the teacher is not to be had, or cannot be compared layer by layer.
    """

    def __init__(self, distillation: Distillation, student: Runnable) -> None:
        super().__init__(distillation, student.labels.kind)
        self.teacher = Teacher.load(distillation.teachers[0], student.labels)
        _check_same_subwords(self.teacher, student)
        both = (student.network, self.teacher.artefact.network)
        weights = (distillation.hidden_weight, distillation.attention_weight)
        self.loss = LayerLoss(both[0].config, both[1].config, *weights)
        for network in both:
            assert isinstance(network, Network)
            network.widen()
            if distillation.attention_weight:
                set_attention(network.encoder, "eager")

    @contextlib.contextmanager
    def watching(self, student: Network) -> Iterator[Seen]:
        """Keep what the student computes on the way."""
        with watching(student.encoder, attention=self.distillation.attention_weight > 0) as seen:
            yield seen

    def terms(self, scores: Tensor, hard: LossTerms, batch: Batch, seen: Seen | None) -> LossTerms:
        """The loss to labels, answers and layers."""
        assert seen is not None
        network = self.teacher.artefact.network
        if network.device != scores.device:
            network.to(scores.device)
        with self.watching(network) as theirs, torch.no_grad():
            batch = replace(batch, soft=self.teacher.logits(batch))
        told = self._taught(scores, hard, batch)
        places = Places(batch, self.kind).per_example(scores.shape[-1])
        return LossTerms(told.total + (self.loss(seen, theirs, batch) * places).sum(), told.weight)


def _check_same_subwords(teacher: Teacher, student: Runnable) -> None:
    """Refuse a teacher that would read other subwords than the student does."""
    if fingerprint(teacher.artefact.tokenizer) != fingerprint(student.tokenizer):
        raise InputError(
            f"{KEY} {teacher.name} has another tokenizer than the student, and layers are compared subword by subword: "
            "leave out model.distillation.hidden_weight and attention_weight, or take model.encoder from the teacher"
        )
    positions = teacher.artefact.network.max_positions
    if positions and student.max_length > positions:
        raise InputError(
            f"data.max_length {student.max_length} is beyond what {KEY} {teacher.name} has positions for: set it to "
            f"{positions} or less"
        )
