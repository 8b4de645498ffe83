"""How often an epoch of training sees a row, by how rare its labels are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from numbers import Real
from typing import get_args

import numpy as np
from datasets import Dataset

from lightning_clf.component import Component
from lightning_clf.counts import BETA, Strategy
from lightning_clf.data.checks import count_labels
from lightning_clf.data.classes import OUTSIDE, Classes, Factors, deciding_classes
from lightning_clf.data.drawing import Quotas
from lightning_clf.errors import InputError, check_number
from lightning_clf.labels import LabelSpace

_KEY = "data.sampling"
_DEFAULT: Strategy = "sqrt_inverse"


class Sampling(Component, ABC):
    """Says how often an epoch of training sees each row. Evaluation sees every row once, whatever this says.

    Classes are compared: labels, or for tags with spans the entity types. A row is seen as often as the largest factor
    of its classes says, which is that of the rarest where factors follow from counts; so do repeat factors of images
    that show several things (Gupta et al. 2019, "LVIS: A Dataset for Large Vocabulary Instance Segmentation").

    A fraction of a factor holds for its rows on average: each epoch has the same number of them, by turns others
    (`Drawing`). That number is whole, so that the average of a group of n rows is within 1/(2n) of the factor. Rows of
    classes of equal factor are one group.

    Class weights and `class_counts` are those of train itself, not of what is drawn.

    To write one, subclass and define `class_factors`.

    Raises:
        InputError: From `quotas` or `check`, if the labels are of kind `score`, or not those that are named.
    """

    def check(self, labels: LabelSpace) -> None:
        """Hold what was asked for against the labels.

        Raises:
            InputError: If labels are of kind `score`.
        """
        if labels.kind == "score":
            raise InputError(
                f"{_KEY} {type(self).__name__} goes by how rare a label is, but data.kind is score: leave {_KEY} out"
            )

    @abstractmethod
    def class_factors(self, classes: Classes) -> Factors:
        """A factor of 0 or more for each of K classes, float64 `[K]`."""

    def bare_factor(self, classes: Classes, bare: int) -> float:
        """The factor of rows that have none of the classes.

        Args:
            classes: The classes.
            bare: How many such rows train has.
        """
        return 1.0

    def quotas(self, rows: Dataset, labels: LabelSpace) -> Quotas:
        """How often each encoded row of train is to be seen.

        Args:
            rows: R encoded rows.
            labels: The label space of their targets.

        Raises:
            InputError: If `check` finds something, or no row would be seen.
        """
        self.check(labels)
        classes = Classes.of(count_labels(rows, labels))
        factors = self.class_factors(classes)
        deciding = deciding_classes(rows, classes, factors)
        bare = self.bare_factor(classes, int(np.count_nonzero(deciding == len(factors))))
        unique, group = np.unique(np.append(factors, bare), return_inverse=True)
        quotas = Quotas(unique, group.astype(np.int32)[deciding])
        if not len(quotas):
            raise InputError(f"{_KEY} {type(self).__name__} leaves no row of train: give some label a larger factor")
        return quotas


class FrequencySampling(Sampling):
    """Factors that follow from counts, or are given by name.

    Args:
        by: How a class's frequency is measured, from its count n: `inverse` n, `sqrt_inverse` √n, `effective` 1 − βⁿ
            with β = 0.9999 (Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples"). `None` is
            `sqrt_inverse`, unless `factors` are given.
        factors: Factors by name of label, or for tags with spans by entity type, with `O` for sentences without. What
            is not named has the factor 1.

    Raises:
        InputError: If there is no such `by`, both are given, or a factor is out of range.
    """

    def __init__(self, by: Strategy | None = None, factors: dict[str, float] | None = None) -> None:
        if by is not None and by not in get_args(Strategy):
            raise InputError(f"{_KEY}.by {by!r} is unknown: use one of {', '.join(get_args(Strategy))}")
        if by is not None and factors is not None:
            raise InputError(f"{_KEY} has both by and factors, which contradict each other: keep one of them")
        if factors is not None and not factors:
            raise InputError(f"{_KEY}.factors names no label: name one, such as {{rare: 3.0}}, or leave it out")
        self.by: Strategy | None = by or (None if factors is not None else _DEFAULT)
        self.factors: Mapping[str, float] = factors or {}
        for name, factor in self.factors.items():
            if not isinstance(name, str):
                raise InputError(
                    f"{_KEY}.factors has the key {name!r}, which is no text: put names of labels in quotes"
                )
            self._check_factor(f"{_KEY}.factors[{name!r}]", factor)

    @abstractmethod
    def _check_factor(self, key: str, factor: float) -> None:
        """Hold a factor that was given against its bounds."""

    def check(self, labels: LabelSpace) -> None:
        """Hold what was asked for against the labels.

        Raises:
            InputError: If labels are of kind `score`, or `factors` name one there is not.
        """
        super().check(labels)
        names = (OUTSIDE, *labels.entity_types) if labels.entity_types else labels.names
        for name in self.factors:
            if name not in names:
                noun = "entity type" if labels.entity_types else "label"
                shown = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
                raise InputError(
                    f"{_KEY}.factors names {noun} {name!r}, which is not one of: {shown}: correct it or leave it out"
                )

    def _named(self, classes: Classes) -> Factors:
        return np.array([self.factors.get(name, 1.0) for name in classes.names], np.float64)

    def bare_factor(self, classes: Classes, bare: int) -> float:
        """1, unless `O` is given another."""
        return self.factors.get(OUTSIDE, 1.0) if OUTSIDE not in classes.names else 1.0

    def _frequency(self, count: float) -> float:
        """What a factor is inversely proportional to."""
        if self.by == "effective":
            return float(-np.expm1(count * np.log(BETA)))
        return float(count) if self.by == "inverse" else float(count) ** 0.5


class OverSampling(FrequencySampling):
    """Repeats rows of rare labels: every row is seen once an epoch or more.

    A class's factor is that of the frequency measures of the most frequent class and its own, so that the most frequent
    has the factor 1. Rows without labels, and sentences without entities, are seen once.

    Args:
        by: As for `FrequencySampling`. The square root, as of LVIS's repeat factors, balances halfway: with 100:1 a
            rare row comes 10 times, where `inverse` would show it 100 times.
        factors: As for `FrequencySampling`, each of 1 or more: `{rare: 3.0}` is three times as often.
        most: The largest factor there may be. What is shown more often an epoch is learned by heart rather than from;
            10 is what the square root comes to at 100:1. Factors given by name beyond it are refused.

    Raises:
        InputError: If an argument is out of range, or `by` and `factors` are both given.
    """

    def __init__(self, by: Strategy | None = None, factors: dict[str, float] | None = None, most: float = 10.0) -> None:
        self.most = check_number(f"{_KEY}.most", most, least=1)
        super().__init__(by, factors)

    def _check_factor(self, key: str, factor: float) -> None:
        if isinstance(factor, Real) and 0 < factor < 1:
            raise InputError(f"{key} is {factor:g}, but OverSampling sees every row: give 1 or more, or UnderSampling")
        check_number(key, factor, least=1)
        if factor > self.most:
            raise InputError(f"{key} is {factor:g}, above {_KEY}.most {self.most:g}: lower it, or raise {_KEY}.most")

    def class_factors(self, classes: Classes) -> Factors:
        """Factors of 1 to `most`, `[K]`."""
        if self.by is None:
            return self._named(classes)
        top = self._frequency(max(classes.counts))
        ratios = [top / self._frequency(count) if count else 1.0 for count in classes.counts]
        return np.minimum(ratios, self.most)


class UnderSampling(FrequencySampling):
    """Drops rows of frequent labels, other ones each epoch, so that every row is seen sooner or later.

    A class's factor is that of the frequency measures of the rarest class train has and its own, so that the rarest has
    the factor 1, and a row is kept as often as its rarest class. An epoch is shorter, and more of them make up for it.
    Japkowicz and Stephen (2002, "The class imbalance problem: A systematic study") compare dropping and repeating.

    Rows without labels, and sentences without entities, are a class of their own, counted in rows: they are often most
    of train, and would be more of it still if they alone were left. A few of them lower no other factor.

    Args:
        by: As for `FrequencySampling`.
        factors: As for `FrequencySampling`, each above 0 and at most 1: `{frequent: 0.2}` is a fifth of its rows.

    Raises:
        InputError: If an argument is out of range, or `by` and `factors` are both given.
    """

    def _check_factor(self, key: str, factor: float) -> None:
        check_number(key, factor, above=0)
        if factor > 1:
            raise InputError(f"{key} is {factor:g}, but UnderSampling repeats no row: give at most 1, or OverSampling")

    def class_factors(self, classes: Classes) -> Factors:
        """Factors above 0 and at most 1, `[K]`."""
        if self.by is None:
            return self._named(classes)
        rarest = self._rarest(classes)
        return np.array([rarest / self._frequency(count) if count else 1.0 for count in classes.counts])

    def bare_factor(self, classes: Classes, bare: int) -> float:
        """As for a class of so many, 1 where no class is there to compare with."""
        if self.by is None or not bare or not classes.present:
            return super().bare_factor(classes, bare)
        return min(1.0, self._rarest(classes) / self._frequency(bare))

    def _rarest(self, classes: Classes) -> float:
        return self._frequency(min((count for count in classes.counts if count), default=1))
