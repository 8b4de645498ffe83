"""What a student loses by answering otherwise than its teacher, beside what it loses to the labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.precision import full_precision


def soft_loss(scores: Tensor, soft: Tensor, kind: Kind, temperature: float) -> Tensor:
    """How far a student's answers are from its teacher's (Hinton, Vinyals and Dean 2015), summed over all of them.

    Args:
        scores: Scores of M places: logits `[M,C]`, or numbers `[M]` for the kind `score`.
        soft: The teacher's, of the same shape; a logit may be infinite.
        kind: The kind of label.
        temperature: T.

    Returns:
        T² KL(softmax(t/T) ‖ softmax(s/T)), for any of many labels that of each label's sigmoid, or (s − t)². T² makes
        the gradient about as large whatever T is.
    """
    scores, soft = full_precision(scores), soft.to(full_precision(scores).dtype)
    if kind == "score":
        return functional.mse_loss(scores, soft, reduction="sum")
    scores, soft = scores / temperature, soft / temperature
    if kind == "multi":
        p = soft.sigmoid()
        entropy = -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).sum()
        cross = functional.binary_cross_entropy_with_logits(scores, p, reduction="sum")
    else:
        p = soft.softmax(-1)
        entropy = -torch.xlogy(p, p).sum()
        cross = -(p * scores.log_softmax(-1)).sum()
    return temperature**2 * (cross - entropy)


def mean_logits(answers: list[Tensor], kind: Kind) -> Tensor:
    """The logits of the mean of several teachers' probabilities, or the mean of their scores.

    Args:
        answers: The logits of each, `[…,C]`, or its scores.
        kind: The kind of label.
    """
    if len(answers) == 1:
        return answers[0]
    several = torch.stack(answers)
    if kind == "score":
        return several.mean(0)
    if kind == "multi":  # the number of teachers falls out of the ratio
        return functional.logsigmoid(several).logsumexp(0) - functional.logsigmoid(-several).logsumexp(0)
    return several.log_softmax(-1).logsumexp(0)


class Places:
    """What of a batch is compared: examples, or for tags the words that a subword speaks for.

    Args:
        batch: A batch with targets, as a teacher has answered it.
        kind: The kind of label.

    Attributes:
        hard: Where there is a label: bool `[B]`, or `[B,W]`.
        soft: Where there is an answer of the teacher's.
    """

    def __init__(self, batch: Batch, kind: Kind) -> None:
        self.kind = kind
        self.hard = torch.ones_like(batch.example_ids, dtype=torch.bool) if batch.labelled is None else batch.labelled
        known = torch.ones_like(self.hard)
        if kind == "tags":
            known = batch.word_mask & (batch.words()[0] >= 0)
            self.hard = known & (batch.require_targets() != IGNORE)
        self.soft = known
        if batch.soft is not None:
            silent = batch.soft.isnan()
            self.soft = known & ~(silent if kind == "score" else silent.any(-1))

    def per_example(self, labels: int) -> Tensor:
        """How many places each example has, those of any kind of answer once: `[B]`, times C for any of C labels."""
        places = self.hard | self.soft
        places = places.sum(-1) if places.ndim > 1 else places.long()
        return places * labels if self.kind == "multi" else places


def taught(
    scores: Tensor, hard: LossTerms, batch: Batch, kind: Kind, *, temperature: float, weight: float
) -> LossTerms:
    """The loss to labels and teacher together: of each place (1 − w) that to its label and w that to the teacher.

    A place that lacks one of them has the other alone. Over accumulated batches and processes this is one mean where
    places weigh the same in the loss to labels. Under class weights that is a mean of the batches' means.

    Args:
        scores: A batch's scores.
        hard: The loss of them to the labels there are.
        batch: The batch, as the teacher has answered it.
        kind: The kind of label.
        temperature: T.
        weight: w.

    Returns:
        Terms whose weight is the number of places.
    """
    assert batch.soft is not None
    places = Places(batch, kind)
    labels = scores.shape[-1] if kind == "multi" else 1
    labelled = places.hard.sum() * labels
    total = (1 - weight) * hard.mean * labelled
    total = total + weight * soft_loss(scores[places.soft], batch.soft[places.soft], kind, temperature)
    return LossTerms(total, places.per_example(labels).sum().to(total.dtype))
