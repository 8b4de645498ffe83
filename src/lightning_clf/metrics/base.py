"""What every metric of a task has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor
from torchmetrics import Metric

from lightning_clf.labels import LabelSpace
from lightning_clf.metrics.counts import Tally


class ClassRow(NamedTuple):
    """The scores of one class; `support` is how often it is right."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class Summary(NamedTuple):
    """All that a metric over decisions knows at the end of an epoch, on the CPU."""

    scalars: dict[str, Tensor]
    tally: Tally
    confusion: Tensor


class TaskMetric(Metric, ABC):
    """A torchmetrics metric that gives several named numbers and says which part of a `Prediction` it reads.

    Attributes:
        reads: The field of `Prediction` that `update` takes as its first argument.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    reads: ClassVar[Literal["indices", "probabilities", "scores"]]

    @abstractmethod
    def update(self, preds: Tensor, targets: Tensor) -> None:
        """Take in one batch."""

    @abstractmethod
    def compute(self) -> dict[str, Tensor]:
        """The numbers by their public names: float64 scalars on the CPU."""


class Scores(TaskMetric):
    """Numbers made of decisions: they have rows a class, and a table of what was taken for what.

    States are integer counts that are summed over processes, so that two processes count exactly what one would.
    After `compute` (a collective operation) every process can read `per_class` and `confusion` on its own.

    Attributes:
        class_names: What the rows of `per_class` are called, in order.
    """

    reads = "indices"

    def __init__(self, class_names: tuple[str, ...]) -> None:
        super().__init__()
        self.class_names = class_names
        self._summary: Summary | None = None

    @abstractmethod
    def summarise(self) -> Summary:
        """Everything there is to know, from the states as they are."""

    def compute(self) -> dict[str, Tensor]:
        """The numbers by their public names: float64 scalars on the CPU."""
        # torchmetrics calls this with the states summed over processes and restores them afterwards: keep it all now
        self._summary = self.summarise()
        return self._summary.scalars

    def per_class(self) -> list[ClassRow]:
        """Precision, recall, F1 and support of each class, in the order of `class_names`."""
        tally = self._computed_summary().tally
        columns = (tally.precision.tolist(), tally.recall.tolist(), tally.f1.tolist(), tally.gold.tolist())
        return [ClassRow(*row) for row in zip(self.class_names, *columns, strict=True)]

    def confusion(self) -> Tensor:
        """The table of what was taken for what, int64 on the CPU; the subclass says of which shape."""
        return self._computed_summary().confusion

    def _computed_summary(self) -> Summary:
        self.compute()  # cached by torchmetrics until the next update
        if self._summary is None:
            raise RuntimeError(f"{type(self).__name__}.compute left no summary: a subclass must call super().compute()")
        return self._summary


def require_kind(labels: LabelSpace, metric: str, *, expected: bool) -> None:
    """Refuse labels that a metric cannot score, where the metric is made rather than where it fails.

    Raises:
        ValueError: If the labels are not what the metric expects.
    """
    if not expected:
        scheme = f" with scheme {labels.scheme}" if labels.scheme else ""
        raise ValueError(f"{metric} does not score labels of kind {labels.kind}{scheme}: use build_metrics(labels)")
