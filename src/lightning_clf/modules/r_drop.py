"""R-Drop: two passes of a batch under different dropout are to agree (Wu et al. 2021, "R-Drop")."""

from __future__ import annotations

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.nn import functional

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.precision import full_precision


def agreeing(
    first: tuple[Tensor, LossTerms], second: tuple[Tensor, LossTerms], batch: Batch, kind: Kind, alpha: float
) -> LossTerms:
    """The loss of two passes: the mean of theirs, and α times how far their answers are apart.

    The paper's equation has the sum of theirs, beside which an α of 2 is what 1 is here.

    Over accumulated batches and processes the second part is the mean over all that is compared where a place weighs
    the same in each of them. Under class weights it is a mean of the batches' means, by the sums of their weights.

    Args:
        first: Scores and loss of one pass.
        second: Those of the other.
        batch: What they are of.
        kind: The kind of label, which says how far apart two answers are: for one label of C and for each label of
            many by the mean of the two Kullback-Leibler divergences, for scores by the squared difference.
        alpha: α.

    Returns:
        Terms with the weight of the first pass: that of both, since they have the same targets.
    """
    (one, terms), (other, again) = first, second
    places = torch.ones_like(batch.example_ids, dtype=torch.bool)
    if kind == "tags":
        seen, _ = batch.words()
        places = batch.word_mask & (seen >= 0) & (batch.require_targets() != IGNORE)
    one, other = one[places], other[places]
    answers = one.numel() if kind == "multi" else len(one)
    # as a mean over what is compared, so that α means the same whatever classes weigh
    apart = divergence(one, other, kind) / max(1, answers) * terms.weight
    return LossTerms((terms.total + again.total) / 2 + alpha * apart, terms.weight)


def warn_of_no_dropout(one: Tensor, other: Tensor) -> None:
    """Say that two passes cannot be drawn together, where their scores are the same.

    Args:
        one: Scores of a batch in training.
        other: Those of its second pass.
    """
    if torch.equal(one, other):
        rank_zero_warn(
            "model.r_drop draws two passes under dropout together, but nothing was dropped and both are the same: set "
            "a dropout in model.encoder_options or of model.head, or leave model.r_drop out, which doubles the cost"
        )


def divergence(one: Tensor, other: Tensor, kind: Kind) -> Tensor:
    """How far the answers of two sets of scores are apart, in float32 at least, summed over all of them.

    Args:
        one: Scores of M places: logits `[M,C]`, or numbers `[M]` for the kind `score`.
        other: Scores of the same shape.
        kind: The kind of label.

    Returns:
        ½ (KL(p‖q) + KL(q‖p)) over softmax or over each label's sigmoid, or the squared difference.
    """
    one, other = full_precision(one), full_precision(other)
    if kind == "score":
        return functional.mse_loss(one, other, reduction="sum")
    if kind == "multi":
        # Σ (p − q)(log p − log q) over both answers of a label, whose log odds are the logits
        return 0.5 * ((one.sigmoid() - other.sigmoid()) * (one - other)).sum()
    log_p, log_q = one.log_softmax(-1), other.log_softmax(-1)
    return 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum()
