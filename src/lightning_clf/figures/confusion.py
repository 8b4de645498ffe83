"""What was taken for what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from lightning_clf.figures.style import lowest, new_figure, short, styled, which

_NUMBERED = 14  # classes whose counts can be read within their cells
_NAMED = 80  # classes that can all be named along an axis
_DARK = 0.55  # shares from which on white is read better


@styled
def draw_confusion(counts: Tensor, names: Sequence[str]) -> Figure:
    """A confusion matrix, coloured by the share of its row: with counts in its cells where these are few enough.

    Args:
        counts: Rows right, columns predicted, `[C,C]`.
        names: The C names of rows and columns.
    """
    size = len(names)
    side = min(max(4.5, 2.5 + 0.5 * size), 9.0) if size <= _NUMBERED else min(6.0 + 0.08 * size, 12.0)
    figure = new_figure(side + 0.8, side)
    axes = figure.subplots()
    axes.set_title(f"{int(counts.sum()):,} decisions, by the share of their row")
    _heat(figure, axes, counts, counts.sum(1, keepdim=True), numbers=size <= _NUMBERED)
    step = -(-size // _NAMED)
    ticks = range(0, size, step)
    font = 9 if size <= 30 else 7
    axes.set_xticks(ticks, [short(names[index]) for index in ticks], rotation=90 if size > 4 else 0, fontsize=font)
    axes.set_yticks(ticks, [short(names[index]) for index in ticks], fontsize=font)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure


@styled
def draw_label_confusions(counts: Tensor, names: Sequence[str]) -> Figure:
    """A row for each label: what became of the examples that have it, and of those that have not.

    Args:
        counts: `[[tn, fp], [fn, tp]]` of each label, `[C,2,2]`.
        names: The C labels.
    """
    (tn, fp), (fn, tp) = counts.unbind(1)[0].unbind(1), counts.unbind(1)[1].unbind(1)
    found = (2 * tp / (2 * tp + fp + fn)).tolist()
    rows = lowest(found)
    table = np.stack([tp, fn, fp, tn], axis=1)[rows]
    whole = np.stack([tp + fn, tp + fn, fp + tn, fp + tn], axis=1)[rows]
    height = 1.6 + 0.24 * len(rows)
    figure = new_figure(7.5, max(height, 3.0))
    axes = figure.subplots()
    axes.set_title(f"Found and missed, {which(len(rows), len(names))}")
    _heat(figure, axes, table, whole, numbers=True)
    axes.axvline(1.5, color="white", linewidth=4)
    axes.set_xticks(range(4), ["has it,\nfound", "has it,\nmissed", "has it not,\nfound", "has it not,\nleft"])
    axes.set_yticks(range(len(rows)), [short(names[row]) for row in rows])
    return figure


def _heat(figure: Figure, axes: Axes, counts: Tensor | np.ndarray, whole: Tensor | np.ndarray, numbers: bool) -> None:
    table = np.asarray(counts)
    shares = table / np.maximum(np.asarray(whole), 1)
    # the root of a share, since one mistake in twenty would be as good as white
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto", interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share", ticks=[0, 0.05, 0.25, 0.5, 1])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if numbers:
        for (row, column), count in np.ndenumerate(table):
            colour = "white" if shares[row, column] ** 0.5 > _DARK else "black"
            axes.text(column, row, compact(int(count)), ha="center", va="center", color=colour, fontsize=8)


def compact(count: int) -> str:
    """A count of at most five characters or so, whatever its size: `9999`, `12.3k`, `4.5M`."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size and count >= 10_000:
            return f"{count / size:.1f}{unit}"
    return str(count)
