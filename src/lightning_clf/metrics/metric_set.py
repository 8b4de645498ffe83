"""All metrics of a task behind one door, which is what modules use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from lightning_clf.labels import LabelSpace
from lightning_clf.metrics.agreement import AgreementScores
from lightning_clf.metrics.base import ClassRow, Scores, TaskMetric
from lightning_clf.metrics.curves import Histograms, S
from lightning_clf.metrics.entities import EntityF1
from lightning_clf.metrics.grouped import GroupedRanking
from lightning_clf.metrics.multi_label import MultiLabelScores
from lightning_clf.metrics.ranking import RankingScores
from lightning_clf.metrics.single_label import SingleLabelScores
from lightning_clf.prediction import Prediction

M = TypeVar("M", bound=TaskMetric)


def build_metrics(labels: LabelSpace) -> MetricSet:
    """The metrics that fit a label space."""
    return MetricSet(_fitting(labels))


def _fitting(labels: LabelSpace) -> Iterator[TaskMetric]:
    match labels.kind:
        case "single":
            yield SingleLabelScores(labels)
            yield RankingScores(labels)
            if len(labels) == 2:
                yield GroupedRanking(labels)
        case "multi":
            yield MultiLabelScores(labels)
            yield RankingScores(labels)
        case "tags":
            yield SingleLabelScores(labels) if labels.scheme == "none" else EntityF1(labels)
        case "score":
            yield AgreementScores(labels)


class MetricSet(nn.Module):
    """The metrics of a task, updated together. Each stage has one of its own.

    `compute` sums over processes, so every process must call it; the numbers are then the same in all of them, and
    must not be averaged again. `per_class` and `confusion` after it need no other process.

    Args:
        metrics: Metrics whose numbers have different names.
    """

    def __init__(self, metrics: Iterable[TaskMetric]) -> None:
        super().__init__()
        self.metrics = nn.ModuleList(metrics)

    def include(self, metric: M) -> M:
        """Add a metric, unless one of its class is there already.

        Returns:
            The one that is there.
        """
        for member in self._members():
            if isinstance(member, type(metric)):
                return member
        self.metrics.append(metric)
        return metric

    def update(self, prediction: Prediction, targets: Tensor, groups: Tensor | None = None) -> None:
        """Take in one batch.

        Args:
            prediction: What the head decoded. Without probabilities, numbers that need them stay NaN.
            targets: The batch's targets, whose shapes are those of `Batch.targets`.
            groups: The batch's `groups`.

        Raises:
            TypeError: If the prediction lacks decisions or scores that a metric reads.
        """
        for metric in self._members():
            value: Tensor | None = getattr(prediction, metric.reads)
            if isinstance(metric, GroupedRanking):
                if value is not None:
                    metric.update(value, targets, groups)
            elif value is not None:
                metric.update(value, targets)
            elif metric.reads != "probabilities":
                raise TypeError(f"{type(metric).__name__} needs Prediction.{metric.reads}, but the head left it None")

    def compute(self) -> dict[str, Tensor]:
        """Every number by its public name, `precision/<label>`, `recall/<label>` and `f1/<label>` included.

        Returns:
            Scalars on the metrics' device, in float64 where the device has it.
        """
        numbers: dict[str, float] = {}
        for metric in self._members():
            numbers |= {name: value.item() for name, value in metric.compute().items()}
        for row in self.per_class():
            numbers |= {
                f"precision/{row.label}": row.precision,
                f"recall/{row.label}": row.recall,
                f"f1/{row.label}": row.f1,
            }
        device = next(self._members()).device
        dtype = torch.float32 if device.type == "mps" else torch.float64
        values = torch.tensor(list(numbers.values()), dtype=dtype, device=device)
        return dict(zip(numbers, values.unbind(), strict=True))

    def per_class(self) -> list[ClassRow]:
        """The scores of each label, or of each entity type; nothing for a task whose answers are numbers."""
        return [row for metric in self._members() if isinstance(metric, Scores) for row in metric.per_class()]

    def confusion(self) -> Tensor | None:
        """What was taken for what, of the shape its metric says; `None` for a task whose answers are numbers."""
        return next((metric.confusion() for metric in self._members() if isinstance(metric, Scores)), None)

    def summary_of(self, kind: type[Histograms[S]]) -> S | None:
        """What the last `compute` left to draw; `None` without a metric of this class, or where it counted nothing."""
        return next((metric.summary for metric in self._members() if isinstance(metric, kind)), None)

    def reset(self) -> None:
        """Forget every batch."""
        for metric in self._members():
            metric.reset()

    def _members(self) -> Iterator[TaskMetric]:
        return (cast(TaskMetric, metric) for metric in self.metrics)
