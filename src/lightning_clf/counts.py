"""How often train has each label, which weights, margins, priors and samplers are made of."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_clf.labels import LabelSpace


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
