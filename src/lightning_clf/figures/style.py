"""What all figures look like: on white, in colours that those who see few of them tell apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

P = ParamSpec("P")

BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK)
"""The palette of Okabe and Ito (2008), without those of its colours that are pale on white."""
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
GREY = "#BBBBBB"
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""The ticks of an axis from 0 to 1."""
MOST_ROWS = 40
"""So many rows of bars or of a table can be read one by one."""

_LONGEST_NAME = 20
_STYLE = {
    **{key: value for key, value in mpl.rcParamsDefault.items() if key not in ("backend", "backend_fallback")},
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "text.parse_math": False,  # a label with dollars in it is no formula
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A function that draws in this style, whatever the user's own is."""

    @wraps(draw)
    def drawing(*args: P.args, **options: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            figure = draw(*args, **options)
            figure.draw_without_rendering()  # ticks are made, and places found, only where a figure is drawn
            figure.set_layout_engine("none")
            return figure

    return drawing


def new_figure(width: float, height: float) -> Figure:
    """An empty figure; sizes are in inches, of 100 pixels each."""
    return Figure(figsize=(width, height), layout="constrained")


def short(name: str) -> str:
    """A label's name, without its middle where it would take the room of what is drawn: names may differ in an end."""
    line, half = " ".join(name.split()), _LONGEST_NAME // 2
    return line if len(line) <= _LONGEST_NAME else f"{line[:half]}…{line[1 - half :]}"


def lowest(values: Sequence[float], most: int = MOST_ROWS) -> list[int]:
    """The positions of the lowest values, the very lowest first; those that are NaN come last."""
    order = sorted(range(len(values)), key=lambda index: (values[index] != values[index], values[index]))
    return order[:most]


def which(shown: int, total: int) -> str:
    """Which of all rows are shown, for a title."""
    return f"of all {total}, the lowest F1 first" if shown == total else f"of {total} the {shown} of the lowest F1"
