"""Precision against recall, and confidence against what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from lightning_clf.figures.style import (
    BLACK,
    COLOURS,
    DASHES,
    GREY,
    ORANGE,
    SHARES,
    SKY,
    lowest,
    new_figure,
    short,
    styled,
)
from lightning_clf.metrics import Curves


@styled
def draw_precision_recall(curves: Curves, names: Sequence[str]) -> Figure:
    """A curve for each class against the rest; of many classes those with the lowest areas are named.

    Args:
        curves: The numbers.
        names: The C classes.
    """
    areas = curves.average_precision.tolist()
    known = [index for index, area in enumerate(areas) if area == area]
    most = len(COLOURS)
    named = known if len(known) <= most else [index for index in lowest(areas, most) if index in known]
    what = "" if len(named) == len(known) else f"; the {len(named)} lowest of {len(known)} named"
    figure = new_figure(7.5, 5.0)
    axes = figure.subplots()
    axes.set_title(f"Precision and recall of each class{what}")
    for index in known:
        if index not in named:
            axes.plot(curves.recall[index], curves.precision[index], color=GREY, linewidth=0.6)
    for index, colour, dash in zip(named, COLOURS, DASHES, strict=False):
        label = f" {short(names[index])}  {areas[index]:.3f}"  # matplotlib leaves out what begins with _
        axes.plot(curves.recall[index], curves.precision[index], color=colour, linestyle=dash, label=label)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xticks=SHARES, yticks=SHARES, xlabel="recall", ylabel="precision")
    axes.grid(visible=True)
    if named:
        axes.legend(title="average precision", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


@styled
def draw_reliability(curves: Curves) -> Figure:
    """How often what one was so confident of was so, bin by bin, over how many there were.

    Args:
        curves: The numbers.
    """
    figure = new_figure(5.5, 6.0)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.set_title(f"Expected calibration error {curves.calibration_error:.3f}")
    left, width = curves.edges[:-1], curves.edges.diff()
    axes.bar(left, curves.hit_rate.nan_to_num(0), width, align="edge", color=SKY, edgecolor="white", label="hit rate")
    axes.plot([0, 1], [0, 1], color=BLACK, linestyle="--", linewidth=1, label="as right as confident")
    axes.plot(curves.confidence, curves.hit_rate, "o", color=ORANGE, markeredgecolor="white", label="mean confidence")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=SHARES, yticks=SHARES, ylabel="hit rate")
    below.bar(left, curves.sizes, width, align="edge", color=GREY, edgecolor="white")
    below.set(xlabel="confidence", ylabel="count")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
