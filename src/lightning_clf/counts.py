"""How often train has each label, which weights, margins, priors and samplers are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lightning_clf.labels import LabelSpace

Strategy = Literal["inverse", "sqrt_inverse", "effective"]
"""How a class is weighed, or its rows drawn, by its count n: by n, by √n, or by the effective number 1 − β^n."""

BETA = 0.9999
"""β of the strategy `effective` where none is given: Cui et al. 2019 find it best on large, long-tailed sets."""


@dataclass(frozen=True)
class ClassCounts:
    """How often each label of a label space occurs in train.

    Attributes:
        labels: The label space, of C labels.
        counts: C counts, in its order: of words for tags, of examples otherwise. A label that no row has counts 0, and
            a score has the one count of all examples.
        places: How many words or examples there are. With labels of kind `multi` that is not the sum of the counts.
    """

    labels: LabelSpace
    counts: tuple[int, ...]
    places: int

    def by_name(self) -> dict[str, int]:
        """The counts by label name."""
        return dict(zip(self.labels.names, self.counts, strict=True))
