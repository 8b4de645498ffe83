"""How well the candidates for a question are ranked: mean average precision and mean reciprocal rank."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics.base import TaskMetric, require_kind


def grouped_ranking(scores: Tensor, positives: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Mean average precision and mean reciprocal rank over groups.

    A group without a positive is left out, as the field does. Arguments are those of `ranking_by_group`.

    Returns:
        Two float64 scalars on the CPU; NaN if no group has a positive.
    """
    precision, reciprocal = ranking_by_group(scores, positives, groups)
    return precision.nanmean().cpu(), reciprocal.nanmean().cpu()


def ranking_by_group(scores: Tensor, positives: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Average precision and reciprocal rank of the first positive of each group.

    Of equal scores each is as far down as the last of them, so that the order of rows decides nothing.

    Args:
        scores: The higher, the further up. `[B]`.
        positives: What is to be found, bool `[B]`.
        groups: Which group each is of, `[B]`.

    Returns:
        Two float64 tensors, the groups in the order of their numbers; NaN where a group has no positive, and so no
        place for one to be found at.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    order = order[torch.argsort(groups[order], stable=True)]
    scores, positives, groups = scores[order], positives[order], groups[order]
    place = torch.arange(len(order), device=order.device)
    _, group, sizes = torch.unique_consecutive(groups, return_inverse=True, return_counts=True)
    start = (sizes.cumsum(0) - sizes)[group]
    ends = torch.ones_like(positives)
    ends[:-1] = (group[1:] != group[:-1]) | (scores[1:] != scores[:-1])
    # the end of each run of equal scores, seen from within it
    last = place[ends][(ends.cumsum(0) - ends.long())]
    found = positives.cumsum(0)
    before = found[start] - positives[start].long()
    rank, hits = (last - start + 1).double(), (found[last] - before).double()
    count = len(sizes)
    precision = torch.zeros(count, dtype=torch.float64, device=order.device)
    precision.index_add_(0, group[positives], (hits / rank)[positives])
    reciprocal = torch.zeros_like(precision).scatter_reduce_(0, group[positives], 1 / rank[positives], reduce="amax")
    answered = torch.bincount(group[positives], minlength=count)
    reciprocal[answered == 0] = math.nan
    return precision / answered, reciprocal  # 0 / 0 is NaN


class GroupedRanking(TaskMetric):
    """`map` and `mrr` of candidates, ranked by the probability of the second of two labels within their question.

    Keeps three numbers in float32 for each row of the epoch: with 16 million questions in a split numbers meet.

    Args:
        labels: Two labels of kind `single`.

    Raises:
        ValueError: If they are others.
    """

    reads = "probabilities"

    probabilities: list[Tensor]
    targets: list[Tensor]
    groups: list[Tensor]

    def __init__(self, labels: LabelSpace) -> None:
        require_kind(labels, "GroupedRanking", expected=labels.kind == "single" and len(labels) == 2)
        super().__init__()
        for name in ("probabilities", "targets", "groups"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, targets: Tensor, groups: Tensor | None = None) -> None:
        """Take in one batch; nothing of one without groups.

        Args:
            preds: Probabilities `[B,2]`.
            targets: The right class indices `[B]`; an example with `IGNORE` is left out.
            groups: The question of each, by number. `[B]`.
        """
        if groups is None:
            return
        kept = targets != IGNORE
        # all float32, as is the empty tensor with which torchmetrics has a process without a batch take part
        self.probabilities.append(preds.detach()[kept, 1].float())
        self.targets.append(targets.detach()[kept].float())
        self.groups.append(groups.detach()[kept].float())

    def compute(self) -> dict[str, Tensor]:
        """`map` and `mrr`, float64 scalars on the CPU; nothing where no row had a group."""
        if not len(self.probabilities):  # a list, or between processes the one tensor made of all their lists
            return {}
        scores, targets, groups = map(dim_zero_cat, (self.probabilities, self.targets, self.groups))
        if scores.isnan().any():
            return dict.fromkeys(("map", "mrr"), torch.tensor(math.nan, dtype=torch.float64))
        precision, reciprocal = grouped_ranking(scores, targets > 0, groups)
        return {"map": precision, "mrr": reciprocal}
