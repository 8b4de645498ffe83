"""Figures show the numbers they were given, and can be read whatever the number of classes and their names."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from lightning_clf import figures
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import ClassRow, CurveCounts, ScoreCounts

SIZES = [2, 6, 28, 77, 150]


def names(size: int) -> list[str]:
    """Names of which some are long, and alike at one end."""
    return [f"{'a rather long name of a class ' if index % 5 == 1 else 'class'} {index}" for index in range(size)]


def table(size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(size)
    return torch.randint(0, 90, (size, size), generator=generator) + 5000 * torch.eye(size, dtype=torch.int64)


def rows(size: int) -> list[ClassRow]:
    values = torch.rand(size, 3, generator=torch.Generator().manual_seed(size)).tolist()
    return [
        ClassRow(name, *value, 1000 * index)
        for index, (name, value) in enumerate(zip(names(size), values, strict=True))
    ]


def curves(size: int):
    generator = torch.Generator().manual_seed(size)
    metric = CurveCounts(LabelSpace.of(names(size), "single"))
    targets = torch.arange(20 * size) % size
    metric.update((torch.randn(20 * size, size, generator=generator)).softmax(1), targets)
    metric.compute()
    return metric.summary


def agreement():
    metric = ScoreCounts(LabelSpace.score(0, 5))
    metric.update(torch.tensor([0.1, 2.0, 5.5, 2.0]), torch.tensor([0.0, 3.0, 5.0, 3.0]))
    metric.compute()
    return metric.summary


DRAWN = {
    "confusion": lambda size: figures.draw_confusion(table(size), names(size)),
    "labels": lambda size: figures.draw_label_confusions(
        table(2 * size)[: 2 * size].view(-1, 2, 2)[:size], names(size)
    ),
    "scores": lambda size: figures.draw_class_scores(rows(size)),
    "precision_recall": lambda size: figures.draw_precision_recall(curves(size), names(size)),
    "reliability": lambda size: figures.draw_reliability(curves(size)),
    "agreement": lambda _: figures.draw_agreement(agreement()),
}


def shown(axis) -> list:
    """Where the labels of an axis stand that are drawn, without the pixel that Agg rounds by."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    labels = [label for tick in ticks for label in (tick.label1, tick.label2) if label.get_visible()]
    return [label.get_window_extent().padded(-0.5) for label in labels if label.get_text()]


def overlapping(boxes) -> list[tuple[int, int]]:
    return [(one, other) for one in range(len(boxes)) for other in range(one) if boxes[one].overlaps(boxes[other])]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", DRAWN)
def test_names_do_not_overlap_and_are_within_the_picture(name, size):
    figure = DRAWN[name](size)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axes in figure.axes:
        labels = [shown(axis) for axis in (axes.xaxis, axes.yaxis)]
        for boxes in labels:
            assert overlapping(boxes) == []
        texts = [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
        written = [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]
        for box in (*written, *labels[0], *labels[1]):
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= figure.bbox.x1
            assert box.y1 <= figure.bbox.y1
    width, height = canvas.get_width_height()
    assert 200 <= height <= 1300
    assert 500 <= width <= 1300


def picture(figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))


def test_a_users_own_style_changes_nothing_and_is_left_alone():
    plain = picture(DRAWN["scores"](3))
    assert plain[0, 0].tolist() == [255, 255, 255]
    with mpl.rc_context({"figure.facecolor": "black", "text.color": "white", "font.size": 30}):
        before = dict(mpl.rcParams)
        np.testing.assert_array_equal(picture(DRAWN["scores"](3)), plain)
        assert dict(mpl.rcParams) == before


def test_no_figure_is_kept_by_pyplot():
    folder = Path(figures.__file__).parent
    for path in folder.glob("*.py"):
        imported = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert not any("pyplot" in ast.unparse(node) for node in imported)


def test_names_are_no_formulas():
    figure = figures.draw_confusion(table(2), ["$5_{$", "100 %\n and more"])
    picture(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["$5_{$", "100 % and more"]


def test_confusion_shows_shares_of_rows_and_counts():
    counts = torch.tensor([[3, 1], [0, 12345]])
    axes = figures.draw_confusion(counts, ["a", "b"]).axes[0]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 1.0]]
    assert [text.get_text() for text in axes.texts] == ["3", "1", "0", "12.3k"]


def test_a_row_without_examples_is_empty():
    axes = figures.draw_confusion(torch.tensor([[0, 0], [1, 1]]), ["a", "b"]).axes[0]
    assert axes.images[0].get_array().tolist() == [[0.0, 0.0], [0.5, 0.5]]


def test_labels_are_ordered_by_f1():
    counts = torch.tensor([[[5, 0], [0, 5]], [[9, 1], [3, 1]], [[4, 0], [0, 0]]])
    axes = figures.draw_label_confusions(counts, ["sure", "rare", "none"]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["rare", "sure", "none"]
    assert [text.get_text() for text in axes.texts] == ["1", "3", "1", "9", "5", "0", "0", "5", "0", "0", "0", "4"]
    assert axes.images[0].get_array()[0].tolist() == [0.25, 0.75, 0.1, 0.9]


def test_bars_are_f1_the_lowest_first():
    given = [ClassRow("a", 1.0, 0.5, 2 / 3, 4), ClassRow("b", 0.1, 0.3, 0.15, 7)]
    axes = figures.draw_class_scores(given).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.15, 2 / 3]
    assert [list(line.get_xdata()) for line in axes.lines] == [[0.1, 1.0], [0.3, 0.5]]
    assert axes.get_title(loc="left") == "F1 by class, of all 2, the lowest F1 first"
    assert len(figures.draw_class_scores(rows(77)).axes[0].patches) == 40


def test_the_lowest_curves_are_named():
    data = curves(28)
    axes = figures.draw_precision_recall(data, names(28)).axes[0]
    assert len(axes.lines) == 28
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    lowest = sorted(data.average_precision.tolist())[:6]
    assert [text.split()[-1] for text in legend] == [f"{area:.3f}" for area in lowest]
    index = data.average_precision.argmin()
    line = next(line for line in axes.lines if line.get_label() == legend[0])
    np.testing.assert_array_equal(line.get_xdata(), data.recall[index])
    np.testing.assert_array_equal(line.get_ydata(), data.precision[index])


def test_a_name_that_begins_with_an_underscore_is_in_the_legend():
    axes = figures.draw_precision_recall(curves(2), ["_no", "yes"]).axes[0]
    assert [text.get_text().split()[0] for text in axes.get_legend().get_texts()] == ["_no", "yes"]


def test_reliability_shows_hit_rates_over_sizes():
    data = curves(6)
    above, below = figures.draw_reliability(data).axes
    assert [bar.get_height() for bar in above.patches] == data.hit_rate.nan_to_num(0).tolist()
    assert [bar.get_height() for bar in below.patches] == data.sizes.tolist()
    assert above.get_title(loc="left") == f"Expected calibration error {data.calibration_error:.3f}"


def test_agreement_shows_each_cell_once():
    axes, beside, _ = figures.draw_agreement(agreement()).axes
    (dots,) = axes.collections
    assert dots.get_offsets().tolist() == [[2.5 / 64, 7.5 / 64], [38.5 * 5 / 64, 25.5 * 5 / 64], [63.5 * 5 / 64] * 2]
    assert dots.get_array().tolist() == [1, 2, 1]
    assert sum(bar.get_height() for bar in beside.patches) == 4
