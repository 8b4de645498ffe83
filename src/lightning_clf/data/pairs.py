"""Pairs of rows that share a label, and pairs of rows that do not, for training embeddings on few rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray

from lightning_clf.batch import Batch
from lightning_clf.data.batching import BatchRows
from lightning_clf.data.checks import column
from lightning_clf.data.drawing import Numbers, Quotas
from lightning_clf.encoding import Collator
from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace

Row = dict[str, Any]
RowPair = tuple[Row, Row]

MOST_ROWS = 2000
"""The most rows whose pairs are drawn; they have two million."""
PER_ROW = 40
"""The pairs an epoch has for each row where nobody says: 20 of either kind, as 20 iterations of `setfit` draw."""
_REPEATS = 10  # the most often that an epoch shows a pair: what is shown more often is learned by heart


@dataclass(frozen=True)
class Pairs:
    """The distinct pairs of R rows: unordered, of two rows each, none with itself.

    A pair is positive where its rows share a label. Two rows that have no label at all are no pair: nothing says
    whether they are alike. Pairs are in groups, positive ones by the label they share (of several the rarest in train),
    negative ones by their two labels, or one group where rows have several.

    An epoch has as many positive pairs as negative ones, within the budget and each at most ten times. Within a kind
    all groups have about the same number, so that neither frequent labels nor the many pairs of different ones fill an
    epoch: groups with few pairs repeat them, of others an epoch has some, by turns (`Drawing`).

    Attributes:
        rows: The two rows of each of M pairs, the lower first, int32 `[M,2]`.
        positive: Whether they share a label, bool `[M]`.
        quotas: How often an epoch has each pair.
    """

    rows: NDArray[np.int32]
    positive: NDArray[np.bool_]
    quotas: Quotas

    @classmethod
    def of(cls, rows: Dataset, labels: LabelSpace, budget: int | None = None) -> Pairs:
        """The pairs of encoded rows.

        Args:
            rows: R encoded rows.
            labels: The label space of their targets.
            budget: How many pairs an epoch has, if ten of each are enough. `None` is 40 a row.

        Raises:
            InputError: If there are too many rows, or no two that share a label, or none that do not.
        """
        if len(rows) > MOST_ROWS:
            raise InputError(
                f"train has {len(rows)} rows, and pairs are drawn of {MOST_ROWS} at most: set data.shots, or train "
                "SingleLabelClassifier or MultiLabelClassifier on all"
            )
        first, second = np.triu_indices(len(rows), 1)
        has = _has_labels(rows, labels)
        known = has[first].any(1) | has[second].any(1)
        first, second = first[known], second[known]
        common = _common_label(has, first, second)
        positive = common >= 0
        if positive.all() or not positive.any():
            lacking, remedy = (
                ("differ in their labels", "give rows of other labels")
                if positive.any()
                else ("share a label", "set data.shots to 2 or more, or give more rows")
            )
            raise InputError(f"no two rows of train {lacking}, of which pairs are made: {remedy}")
        count = len(labels)
        apart = 0 * first if labels.kind == "multi" else has[first].argmax(1) * count + has[second].argmax(1)
        low, high = np.divmod(apart, count)
        apart = np.minimum(low, high) * count + np.maximum(low, high)
        _, group = np.unique(np.where(positive, common, count + apart), return_inverse=True)
        quotas = _quotas(group, positive, budget or PER_ROW * len(rows))
        return cls(np.stack([first, second], 1).astype(np.int32), positive, quotas)

    def __len__(self) -> int:
        """How many pairs there are, M."""
        return len(self.rows)


def _has_labels(rows: Dataset, labels: LabelSpace) -> NDArray[np.bool_]:
    """Which labels each row has, bool `[R,C]`."""
    has = np.zeros((len(rows), len(labels)), bool)
    for row, target in enumerate(column(rows, "target").to_pylist()):
        has[row, target] = True
    return has


def _common_label(has: NDArray[np.bool_], first: Numbers, second: Numbers) -> Numbers:
    """The rarest label that the rows of each pair share, −1 for none. `[M]`."""
    by_rarity = np.argsort(has.sum(0), kind="stable")
    common = np.full(len(first), -1, np.int64)
    for label in by_rarity[::-1]:  # the rarest comes last, and stays
        common[has[first, label] & has[second, label]] = label
    return common


def _quotas(group: NDArray[np.int64], positive: NDArray[np.bool_], budget: int) -> Quotas:
    """How often an epoch has the pairs of each group, of which none is of both kinds."""
    sizes = [int(np.count_nonzero(positive == kind)) for kind in (True, False)]
    wanted = min(budget // 2, _REPEATS * min(sizes))
    for kind in (True, False):
        ours = np.unique(group[positive == kind])
        if len(ours) > wanted:  # some would never have their turn
            group = np.where(positive == kind, ours[0], group)
    kinds = [np.bincount(group[positive == kind], minlength=group.max() + 1) for kind in (True, False)]
    factors = [_shares(kind, wanted) / np.maximum(kind, 1) for kind in kinds]
    return Quotas(factors[0] + factors[1], group)


def _shares(sizes: Numbers, wanted: int) -> Numbers:
    """So many pairs, divided evenly over groups of these sizes: a small one has at most ten times its own."""
    shares = np.zeros(len(sizes), np.int64)
    order = [place for place in np.argsort(sizes, kind="stable").tolist() if sizes[place]]
    for done, place in enumerate(order):
        # the smallest first, so that what one has no room for goes to those that have
        shares[place] = min(_REPEATS * int(sizes[place]), -(-wanted // (len(order) - done)))
        wanted -= int(shares[place])
    return shares


class PairRows(BatchRows):
    """Encoded rows, read a batch of pairs at a time.

    Args:
        rows: The encoded rows.
        batch_size: Pairs a batch, where a batch is asked for by its place in the pairs' own order.
        drawn: The pairs of that order.
        pairs: All pairs, of which batches name some by their numbers.
    """

    def __init__(self, rows: Dataset, batch_size: int, drawn: Numbers, pairs: Pairs) -> None:
        super().__init__(rows, batch_size, drawn)
        self.pairs = pairs

    def _read(self, numbers: list[int]) -> list[RowPair]:
        found = self.pairs.rows[numbers]
        each = np.unique(found)
        rows: dict[int, Row] = dict(zip(each.tolist(), self._encoded(each.tolist()), strict=True))
        return [(rows[first], rows[second]) for first, second in found.tolist()]


class PairCollator:
    """Makes a batch of pairs: each text once, in however many pairs it is, and which texts each pair is of.

    Args:
        collate: What makes a batch of rows.
    """

    def __init__(self, collate: Collator) -> None:
        self.collate = collate

    def __call__(self, pairs: Sequence[RowPair]) -> Batch:
        """Collate P pairs of encoded rows."""
        rows = {row["example_id"]: row for pair in pairs for row in pair}
        place = {example: number for number, example in enumerate(rows)}
        batch = self.collate(list(rows.values()))
        batch.pairs = torch.tensor([[place[row["example_id"]] for row in pair] for pair in pairs])
        return batch
