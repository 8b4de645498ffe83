"""Curves and diagrams in numbers: what the library counts for dashboards, in primitives."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import CurveCounts
from lightning_clf.metrics.curves import Curves


def count_curves(labels: LabelSpace, probabilities: Tensor, gold: list[Any]) -> Curves | None:
    """The counts of `FigureLogger`, of all rows at once."""
    counts = CurveCounts(labels)
    if labels.kind == "multi":
        targets = torch.zeros(len(gold), len(labels))
        for row, indices in enumerate(gold):
            targets[row, indices] = 1
    else:
        targets = torch.tensor([tag for tags in gold for tag in tags] if labels.kind == "tags" else gold)
    counts.update(probabilities, targets)
    counts.compute()
    return counts.summary


def describe_curves(labels: LabelSpace, curves: Curves) -> dict[str, Any]:
    """Precision against recall of each label that some row has, and confidence against hits."""
    lines = []
    for place, name in enumerate(labels.names):
        recall, precision = curves.recall[place], curves.precision[place]
        if not math.isnan(float(recall[0])):
            points = list(zip(recall.tolist(), precision.tolist(), strict=True))
            kept = dict.fromkeys(point for point in points if not math.isnan(point[1]))
            lines.append(
                {
                    "label": name,
                    "average_precision": float(curves.average_precision[place]),
                    "points": [*map(list, kept)],
                }
            )
    bins = zip(
        curves.edges[:-1].tolist(), curves.edges[1:].tolist(), curves.sizes.tolist(),
        curves.confidence.tolist(), curves.hit_rate.tolist(), strict=True,
    )  # fmt: skip
    return {
        "precision_recall": lines,
        "reliability": {
            "ece": float(curves.calibration_error),
            "bins": [
                {"from": low, "to": high, "count": size, "confidence": confidence, "hit_rate": rate}
                for low, high, size, confidence, rate in bins
                if size
            ],
        },
    }
