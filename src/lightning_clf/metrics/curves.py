"""What curves and diagrams are drawn of: histograms of probabilities and of scores, exact over processes.

Histograms are integers, which add up over batches and processes to what one process would count, and their size does
not depend on that of the data.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics.base import TaskMetric, require_kind
from lightning_clf.metrics.counts import count_pairs, ratio
from lightning_clf.metrics.ranking import BINS, confidence_of

THRESHOLDS = 256
"""Probabilities are told apart by the thresholds k/256, which float32 holds exactly."""
CELLS = 64
"""Cells of a range of scores, a side."""
_ONE = 2**30  # confidences are added up as multiples of 2^-30, which those of 1/64 and more in float32 are


class Curves(NamedTuple):
    """What probabilities are worth, float64 on the CPU but for counts.

    Attributes:
        thresholds: The K thresholds, rising. `[K]`.
        precision: Of each class among the probabilities at or above a threshold; NaN where there is none. `[C,K]`.
        recall: The same; NaN for a class that is right nowhere. `[C,K]`.
        average_precision: The area under each class's curve, a step from one threshold to the next. `[C]`.
        edges: Where bins of confidence begin and end. `[16]`.
        sizes: How many confidences are in each bin, int64 `[15]`.
        confidence: Their mean; NaN in a bin of none. `[15]`.
        hit_rate: The share of them that was right; NaN in a bin of none. `[15]`.
        calibration_error: The mean distance of the two, weighted by size; NaN without confidences. A scalar.
    """

    thresholds: Tensor
    precision: Tensor
    recall: Tensor
    average_precision: Tensor
    edges: Tensor
    sizes: Tensor
    confidence: Tensor
    hit_rate: Tensor
    calibration_error: Tensor


class Agreement(NamedTuple):
    """Where answers lie beside right scores, on the CPU.

    Attributes:
        edges: Where the cells of a score begin and end, float64 `[65]`.
        cells: How many answers lie in each cell, int64 `[64,64]`: rows right, columns predicted.
        residual_edges: Where the bins of predicted less right begin and end, float64 `[65]`.
        residuals: How many are in each, int64 `[64]`.
    """

    edges: Tensor
    cells: Tensor
    residual_edges: Tensor
    residuals: Tensor


S = TypeVar("S", Curves, Agreement)


class Histograms(TaskMetric, Generic[S]):
    """Counts that are drawn rather than logged: `compute`, a collective operation, gives no number.

    After it every process can read `summary` on its own; it is `None` where nothing was counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.summary: S | None = None

    @abstractmethod
    def summarise(self) -> S | None:
        """What the states say as they are."""

    def compute(self) -> dict[str, Tensor]:
        """No number; what there is to draw is in `summary`."""
        self.summary = self.summarise()
        return {}


class CurveCounts(Histograms[Curves]):
    """Histograms of probabilities: for precision-recall curves of each class against the rest, and for reliability.

    Confidences are those of the calibration error: the most probable class's where one label is right, every label's
    own where any number may be. A row whose target is `IGNORE` or that has a NaN counts nowhere.

    Args:
        labels: Labels of kind `single`, `multi` or `tags`.

    Raises:
        ValueError: If the labels are of another kind.

    Example:
        >>> counts = CurveCounts(LabelSpace.of(["no", "yes"], "single"))
        >>> counts.update(torch.tensor([[0.25, 0.75], [0.5, 0.5]]), torch.tensor([1, 0]))
        >>> counts.compute(), counts.summary.recall[1, 128].item(), counts.summary.precision[1, 128].item()
        ({}, 1.0, 0.5)
    """

    reads = "probabilities"

    counts: Tensor
    reliability: Tensor

    def __init__(self, labels: LabelSpace) -> None:
        require_kind(labels, "CurveCounts", expected=labels.kind != "score")
        super().__init__()
        self._classes, self._exclusive = len(labels), labels.kind != "multi"
        self._edges = float32_edges(_unit(BINS))
        self.add_state("counts", torch.zeros(self._classes, THRESHOLDS, 2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("reliability", torch.zeros(BINS, 3, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, targets: Tensor) -> None:
        """Take in one batch.

        Args:
            preds: Probabilities `[B,C]`, or `[B,W,C]` for tags.
            targets: The right class indices `[B]` or `[B,W]`, or labels 0/1 `[B,C]`.
        """
        # a softmax in float32 may come out a rounding above 1
        probabilities = preds.detach().float().view(-1, self._classes).clamp(0, 1)
        targets = targets.reshape(-1, 1 if self._exclusive else self._classes)
        kept = (targets != IGNORE).all(1) & ~probabilities.isnan().any(1)
        probabilities = probabilities.where(kept[:, None], 0)
        classes = torch.arange(self._classes, device=probabilities.device)
        positives = targets.long() == classes if self._exclusive else targets.bool()

        places = (probabilities * THRESHOLDS).long().clamp(max=THRESHOLDS - 1)  # exact, by a power of two
        flat = ((classes * THRESHOLDS + places) * 2 + positives).flatten()
        weights = kept[:, None].expand_as(positives).flatten().long()
        self.counts = self.counts.flatten().index_add(0, flat, weights).view_as(self.counts)
        confidences, hits = (
            each.flatten() for each in confidence_of(probabilities, positives, exclusive=self._exclusive)
        )
        if self._exclusive:
            weights = kept.long()
        self._edges = self._edges.to(confidences.device)
        columns = torch.stack([weights, hits * weights, (confidences * _ONE).long() * weights], dim=1)
        self.reliability = self.reliability.index_add(0, place(confidences, self._edges), columns)

    def summarise(self) -> Curves | None:
        """The curves and the diagram of all batches."""
        counts, reliability = self.counts.cpu(), self.reliability.cpu()
        return curves(counts, reliability) if counts.any() else None


def curves(counts: Tensor, reliability: Tensor) -> Curves:
    """What the counts of `CurveCounts` say, all of them int64 on the CPU.

    Args:
        counts: Of each class and bin of probability the wrong and the right ones, `[C,K,2]`.
        reliability: Of each bin of confidence its size, its hits, and the sum of its confidences. `[15,3]`.
    """
    above = counts.flip(1).cumsum(1).flip(1)
    chosen, correct = above.sum(2), above[..., 1]
    precision, recall = _share(correct, chosen), _share(correct, correct[:, :1])
    falls = recall.diff(dim=1, append=recall.new_zeros(len(recall), 1)).neg()
    sizes, hits, total = reliability.unbind(1)
    confidence, hit_rate = _share(total, sizes * _ONE), _share(hits, sizes)
    gaps = (ratio(total, sizes * _ONE) - ratio(hits, sizes)).abs()
    return Curves(
        thresholds=torch.arange(THRESHOLDS).double() / THRESHOLDS,
        precision=precision,
        recall=recall,
        average_precision=(falls * ratio(correct, chosen)).sum(1),
        edges=_unit(BINS),
        sizes=sizes,
        confidence=confidence,
        hit_rate=hit_rate,
        calibration_error=_share((gaps * sizes).sum(), sizes.sum()),
    )


class ScoreCounts(Histograms[Agreement]):
    """Histograms of scores: answers beside right scores, and what they miss these by.

    An answer is a score held within the range of the labels, as in the mean squared error.

    Args:
        labels: A label space of kind `score`.

    Raises:
        ValueError: If the labels are of another kind.
    """

    reads = "scores"

    cells: Tensor
    residuals: Tensor

    def __init__(self, labels: LabelSpace) -> None:
        require_kind(labels, "ScoreCounts", expected=labels.kind == "score")
        super().__init__()
        self._low, self._high = labels.range or (0.0, 1.0)
        self._steps = tuple(float32_edges(edges) for edges in (self._scale(), self._distances()))
        self.add_state("cells", torch.zeros(CELLS, CELLS, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("residuals", torch.zeros(CELLS, dtype=torch.int64), dist_reduce_fx="sum")

    def _scale(self) -> Tensor:
        return self._low + (self._high - self._low) * _unit(CELLS)

    def _distances(self) -> Tensor:
        return (self._high - self._low) * (2 * _unit(CELLS) - 1)

    def update(self, preds: Tensor, targets: Tensor) -> None:
        """Take in one batch.

        Args:
            preds: Predicted scores `[B]`.
            targets: The right scores `[B]`.
        """
        answers, right = preds.detach().float().clamp(self._low, self._high), targets.float()
        kept = ~answers.isnan()
        self._steps = tuple(edges.to(answers.device) for edges in self._steps)
        scale, distances = self._steps
        self.cells = self.cells + count_pairs(place(right, scale), place(answers, scale), kept, CELLS)
        self.residuals = self.residuals.index_add(0, place(answers - right, distances), kept.long())

    def summarise(self) -> Agreement | None:
        """The histograms of all batches."""
        cells = self.cells.cpu()
        return Agreement(self._scale(), cells, self._distances(), self.residuals.cpu()) if cells.any() else None


def place(values: Tensor, edges: Tensor) -> Tensor:
    """The bin of each value, int64: it begins at its lower edge; the last one ends with its upper edge.

    Args:
        values: Float32, of any shape; what lies beyond the edges is in the outermost bins.
        edges: What `float32_edges` made of the bins' edges.
    """
    return (torch.bucketize(values.contiguous(), edges, right=True) - 1).clamp(0, len(edges) - 2)


def float32_edges(edges: Tensor) -> Tensor:
    """The least float32 at or above each float64 edge, so that comparing in float32 comes out as in float64."""
    rounded = edges.float()
    return torch.where(rounded.double() < edges, rounded.nextafter(torch.tensor(math.inf)), rounded)


def _unit(parts: int) -> Tensor:
    return torch.linspace(0, 1, parts + 1, dtype=torch.float64)


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return part.double() / whole.double()  # NaN where the whole is 0
