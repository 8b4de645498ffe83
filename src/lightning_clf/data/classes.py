"""What of a label space is compared by frequency, and which of it decides how often a row is seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from lightning_clf.counts import ClassCounts
from lightning_clf.schemes import split_tag

Indices = NDArray[np.int32]
Factors = NDArray[np.float64]

OUTSIDE = "O"
"""What rows without an entity are called."""

_READ = 10_000  # rows whose targets are read at a time


@dataclass(frozen=True)
class Classes:
    """The K classes of a label space that are compared.

    For single labels, several labels and tags without spans they are the labels. For tags with spans they are the
    entity types, counted by their first tags: `O` is nothing to be found, and would outnumber all.

    Attributes:
        names: K names.
        counts: How often train has each: examples, spans, or words for tags without spans.
        of_label: The class of each of C labels, int32 `[C]`; −1 for those of none, such as `O` and `I-PER`.
        unit: What train is made of: `examples` or `sentences`.
        noun: What a class is called: `labels`, `entity types` or `tags`.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    of_label: Indices
    unit: str = "examples"
    noun: str = "labels"

    @classmethod
    def of(cls, counts: ClassCounts) -> Classes:
        """The classes of a label space that is not of kind `score`, with their counts."""
        labels = counts.labels
        if not labels.entity_types:
            unit, noun = ("sentences", "tags") if labels.kind == "tags" else ("examples", "labels")
            return cls(labels.names, counts.counts, np.arange(len(labels), dtype=np.int32), unit, noun)
        # in IOB1 a span begins with either prefix, so that its words are counted in place of it
        first = ("B", "I") if labels.scheme == "IOB1" else ("B", "S")
        place = {name: index for index, name in enumerate(labels.entity_types)}
        tags = map(split_tag, labels.names)
        of_label = np.array([place[kind] if prefix in first else -1 for prefix, kind in tags], np.int32)
        sums = np.bincount(of_label[of_label >= 0], np.array(counts.counts)[of_label >= 0], len(place))
        return cls(labels.entity_types, tuple(int(total) for total in sums), of_label, "sentences", "entity types")

    @property
    def present(self) -> list[int]:
        """The places of the classes that train has, the most frequent first."""
        return sorted((place for place, count in enumerate(self.counts) if count), key=lambda k: -self.counts[k])

    @property
    def absent(self) -> list[str]:
        """The names of the classes that train does not have."""
        return [name for name, count in zip(self.names, self.counts, strict=True) if not count]


def deciding_classes(rows: Dataset, classes: Classes, factors: Factors) -> Indices:
    """For each row the class, among those it has, with the largest factor; of equal ones the first.

    Read in passing, so that four bytes a row are kept in memory.

    Args:
        rows: R encoded rows.
        classes: K classes.
        factors: A factor for each class, `[K]`.

    Returns:
        Int32 `[R]`; K for a row that has none of the classes.
    """
    order = np.argsort(-factors, kind="stable").astype(np.int32)
    rank = np.full(len(factors) + 1, len(factors), np.int32)  # its last is that of the class −1
    rank[order] = np.arange(len(factors), dtype=np.int32)
    best = [_lowest(targets, rank[classes.of_label], len(factors)) for targets in _targets(rows)]
    class_of_rank = np.append(order, np.int32(len(factors)))
    return np.asarray(class_of_rank[np.concatenate([np.zeros(0, np.int32), *best])], np.int32)


def _targets(rows: Dataset) -> Iterator[pa.Array]:
    for table in rows.select_columns(["target"]).with_format("arrow").iter(batch_size=_READ):
        yield from table["target"].chunks


def _lowest(targets: pa.Array, rank: Indices, nothing: int) -> Indices:
    """The lowest rank of each row's labels; `nothing` for a row without."""
    if not pa.types.is_list(targets.type):
        return np.asarray(rank[targets.to_numpy()], np.int32)
    lengths = pc.list_value_length(targets).to_numpy()
    values = pc.list_flatten(targets).to_numpy()
    lowest = np.full(len(lengths), nothing, np.int32)
    if len(values):
        starts = np.cumsum(lengths) - lengths
        lowest[lengths > 0] = np.minimum.reduceat(rank[values], starts[lengths > 0])
    return lowest
