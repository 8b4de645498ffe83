"""Answers beside right scores."""

from __future__ import annotations

from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from lightning_clf.figures.style import BLACK, BLUE, new_figure, styled
from lightning_clf.metrics import Agreement


@styled
def draw_agreement(agreement: Agreement) -> Figure:
    """A dot for each cell that has an answer, coloured by how many it has, and beside it what answers miss by.

    Args:
        agreement: The numbers.
    """
    cells, middles = agreement.cells, (agreement.edges[:-1] + agreement.edges[1:]) / 2
    figure = new_figure(10.0, 4.8)
    axes, beside = figure.subplots(1, 2, width_ratios=(5, 4))
    axes.set_title(f"{int(cells.sum()):,} scores predicted and true")
    rows, columns = cells.nonzero(as_tuple=True)
    counts = cells[rows, columns]
    norm = LogNorm(1, max(int(counts.max()), 2))
    dots = axes.scatter(middles[rows], middles[columns], c=counts, s=14, marker="s", cmap="viridis_r", norm=norm)
    low, high = agreement.edges[0].item(), agreement.edges[-1].item()
    axes.plot([low, high], [low, high], color=BLACK, linestyle="--", linewidth=1)
    axes.set(xlim=(low, high), ylim=(low, high), xlabel="true", ylabel="predicted")
    axes.grid(visible=True)
    figure.colorbar(dots, ax=axes, label="in a cell")
    edges = agreement.residual_edges
    beside.bar(edges[:-1], agreement.residuals, edges.diff(), align="edge", color=BLUE)
    beside.axvline(0, color=BLACK, linestyle="--", linewidth=1)
    beside.set(xlabel="predicted less true", ylabel="count", title="Residuals")
    beside.grid(visible=True, axis="y")
    return figure
