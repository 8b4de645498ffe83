"""F1 of each class."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from lightning_clf.figures.style import BLACK, ORANGE, SHARES, SKY, lowest, new_figure, short, styled, which
from lightning_clf.metrics import ClassRow


@styled
def draw_class_scores(rows: Sequence[ClassRow]) -> Figure:
    """A bar of F1 for each class with its precision and recall, the lowest first, and its support.

    Args:
        rows: The scores of each class.
    """
    chosen = [rows[index] for index in lowest([row.f1 for row in rows])]
    figure = new_figure(7.5, 1.8 + 0.24 * len(chosen))
    axes = figure.subplots()
    axes.set_title(f"F1 by class, {which(len(chosen), len(rows))}")
    places = range(len(chosen))
    axes.barh(places, [row.f1 for row in chosen], height=0.7, color=SKY, label="F1")
    for marker, colour, name in (("|", BLACK, "precision"), ("x", ORANGE, "recall")):
        axes.plot(
            [getattr(row, name) for row in chosen],
            places,
            marker,
            color=colour,
            markersize=8,
            markeredgewidth=2,
            label=name,
        )
    axes.set_yticks(places, [short(row.label) for row in chosen])
    axes.set(xlim=(-0.01, 1.01), xticks=SHARES, ylim=(len(chosen) - 0.4, -0.6))
    axes.grid(visible=True, axis="x")
    counts = axes.secondary_yaxis("right")
    counts.set_yticks(places, [f"{row.support:,}" for row in chosen])
    counts.tick_params(length=0)
    counts.spines[:].set_visible(False)
    counts.set_ylabel("support")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
