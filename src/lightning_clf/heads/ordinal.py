"""A head for labels that are ordered: CORN (Shi, Cao & Raschka 2021).

The paper is "Deep Neural Networks for Rank-Consistent Ordinal Regression Based On Conditional Probabilities".
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_clf.batch import Batch
from lightning_clf.heads.linear import LinearHead
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.precision import full_precision
from lightning_clf.prediction import Prediction


class OrdinalHead(LinearHead):
    """A `LinearHead` that asks, for one label of C in an order, whether it lies beyond each but the last: CORN.

    Its C−1 scores are the logits of P(y > k | y ≥ k). Their products P(y > k) can only fall as k rises, so that no two
    answers contradict each other. It brings its loss, `corn_loss`, which no other can take the place of.

    The order is that of the label space: `data.labels` declares it, and without it numbers are in their own order and
    other names in that of the alphabet, which is seldom what is meant.

    Args:
        pooling: As for `LinearHead`.
        dropout: As for `LinearHead`.

    Raises:
        InputError: As for `LinearHead`.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"single"})
    brings_loss: ClassVar[bool] = True

    def make_output(self, hidden_size: int, outputs: int) -> nn.Module:
        """One layer to the C−1 questions `[B,C-1]`."""
        return super().make_output(hidden_size, outputs - 1)

    def structural_loss(self, scores: Tensor, batch: Batch) -> LossTerms:
        """`corn_loss` of logits `[B,C-1]` against the batch's class indices `[B]`."""
        return corn_loss(scores, batch.require_targets())

    def decode(self, scores: Tensor, batch: Batch) -> Prediction:
        """How many P(y > k) are above ½, and P(y = k) = P(y > k−1) − P(y > k), from logits `[B,C-1]`.

        The label is thus the median of the probabilities, which is not always the likeliest.
        """
        scores = scores.float()
        beyond = scores.sigmoid().cumprod(-1)
        reached = torch.cat([torch.ones_like(beyond[:, :1]), beyond], -1)
        # P(y > k−1) (1 − P(y > k | y ≥ k)) is the same difference, and does not cancel
        stops = torch.cat([(-scores).sigmoid(), torch.ones_like(beyond[:, :1])], -1)
        return Prediction((beyond > 0.5).sum(-1), reached * stops)


def corn_loss(scores: Tensor, targets: Tensor) -> LossTerms:
    """−Σ_k Σ_{i: yᵢ ≥ k} [1{yᵢ > k} log σ(z_k) + 1{yᵢ = k} log(1 − σ(z_k))], in float32 at least.

    Question k is put to the examples that reach it alone, which makes its answer a conditional probability.

    Args:
        scores: Logits `[B,C-1]`.
        targets: Class indices `[B]`, or `IGNORE`.

    Returns:
        Terms whose weight is the number of questions put, Σ_k |{i: yᵢ ≥ k}|, by which the paper divides.
    """
    scores = full_precision(scores)
    questions = torch.arange(scores.shape[-1], device=scores.device)
    put = targets[:, None] >= questions  # IGNORE is below all of them
    beyond = targets[:, None] > questions
    terms = functional.logsigmoid(torch.where(beyond, scores, -scores))
    return LossTerms(-torch.where(put, terms, 0.0).sum(), put.sum(dtype=scores.dtype))
