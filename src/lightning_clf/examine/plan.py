"""Which of an epoch's batches are computed to tell what all of them take."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from torch.utils.data import DataLoader

from lightning_clf.data.batching import token_lengths
from lightning_clf.data.drawing import Numbers
from lightning_clf.data.loading import BatchLoader, EncodedRows, Loading, Place
from lightning_clf.data.pairs import Pairs
from lightning_clf.data.position import Position

_SAMPLED = 8  # batches whose time is taken

Rows = list[int]


@dataclass(frozen=True)
class Plan:
    """The batches of an epoch, and those of them that are computed.

    Attributes:
        batches: How many batches the epoch has.
        length: How many subwords a text of the largest batch has, padding included.
        slices: The first row of the largest batch, and the first two: what they keep in memory tells what all would.
        largest: The rows of the largest batch, the longest first.
        sample: Batches from the smallest to the largest, evenly spaced.
        unit: What rows are called: `texts`, or `pairs` of them.
    """

    batches: int
    length: int
    slices: list[Rows]
    largest: Rows
    sample: list[Rows]
    unit: str = "texts"

    @classmethod
    def of(cls, batches: list[Rows], lengths: Numbers, unit: str = "texts") -> Self:
        """The plan for the batches of an epoch.

        Args:
            batches: The rows of each.
            lengths: How many subwords each of R rows has, `[R]`.
            unit: What rows are called.
        """
        order = sorted(batches, key=lambda batch: (len(batch) * lengths[batch].max(), lengths[batch].max()))
        largest = sorted(order[-1], key=lambda row: -lengths[row])
        places = np.linspace(0, len(order) - 1, min(_SAMPLED, len(order))).round().astype(int)
        sample = [order[place] for place in places]
        return cls(len(batches), int(lengths[largest[0]]), [largest[:1], largest[:2]], largest, sample, unit)

    @property
    def computed(self) -> list[Rows]:
        """All that is computed, in order: the largest batch in full comes after its slices have told that it fits."""
        return [*self.slices, self.largest, *self.sample]


@dataclass(frozen=True)
class PlannedLoading(Loading):
    """Loading whose training batches are those of a plan, made of the batches that a fit would be given.

    Attributes:
        plans: The plans that were made.
    """

    plans: list[Plan] = field(default_factory=list)

    @classmethod
    def like(cls, loading: Loading) -> Self:
        """The same keys, without processes for a few batches."""
        keys: dict[str, Any] = {item.name: getattr(loading, item.name) for item in fields(loading)}
        return cls(**{**keys, "num_workers": 0})

    def train(self, encoded: EncodedRows, place: Place, position: Position) -> BatchLoader:
        """The batches of the plan, of the first epoch's."""
        loader = super().train(encoded, place, position)
        return self._planned(loader, Plan.of(list(loader.sampler), token_lengths(encoded.rows)))

    def train_pairs(self, encoded: EncodedRows, place: Place, position: Position, pairs: Pairs) -> BatchLoader:
        """The same of batches of pairs, each as long as the longer of its texts."""
        loader = super().train_pairs(encoded, place, position, pairs)
        lengths = token_lengths(encoded.rows)[pairs.rows].max(1)
        return self._planned(loader, Plan.of(list(loader.sampler), lengths, "pairs"))

    def _planned(self, loader: BatchLoader, plan: Plan) -> BatchLoader:
        self.plans.append(plan)
        return DataLoader(loader.dataset, batch_size=None, sampler=plan.computed, collate_fn=loader.collate_fn)
