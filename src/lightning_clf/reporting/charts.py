"""Charts as SVG: plain shapes that take their colours from the page's style, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lightning_clf.reporting.markup import Markup, element

_WIDTH, _HEIGHT = 420, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 12, 44
COLOURS = 8
"""How many lines a chart can tell apart."""


class Axis(NamedTuple):
    """What a direction stands for."""

    name: str
    low: float = 0.0
    high: float = 1.0

    def share(self, value: float) -> float:
        """Where a value lies between the ends."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Five places to name."""
        return [self.low + (self.high - self.low) * part / 4 for part in range(5)]


class Frame:
    """Places in a chart.

    Args:
        x: The horizontal axis.
        y: The vertical one.
    """

    def __init__(self, x: Axis, y: Axis) -> None:
        self.x, self.y = x, y

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies on the page."""
        return (
            round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * self.x.share(x), 2),
            round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * self.y.share(y), 2),
        )

    def line(self, points: Iterable[tuple[float, float]], class_: str) -> Markup:
        """A line through points."""
        places = " ".join(f"{x:g},{y:g}" for x, y in (self.at(*point) for point in points))
        return element("polyline", points=places, class_=class_)

    def dot(self, x: float, y: float, class_: str, radius: float = 2.5) -> Markup:
        """A point."""
        left, top = self.at(x, y)
        return element("circle", cx=left, cy=top, r=radius, class_=class_)

    def bar(self, low: float, high: float, value: float, class_: str) -> Markup:
        """A bar from the horizontal axis up."""
        left, top = self.at(low, value)
        right, bottom = self.at(high, self.y.low)
        return element(
            "rect", x=left + 0.5, y=top, width=max(0.5, right - left - 1), height=bottom - top, class_=class_
        )

    def draw(self, title: str, *shapes: Markup | Sequence[Markup]) -> Markup:
        """The whole chart: axes, and shapes on them."""
        ticks = []
        for value in self.x.ticks():
            left, bottom = self.at(value, self.y.low)
            ticks.append(element("text", f"{value:g}", x=left, y=bottom + 16, text_anchor="middle"))
        for value in self.y.ticks():
            left, place = self.at(self.x.low, value)
            right, _ = self.at(self.x.high, value)
            ticks.append(element("line", x1=left, y1=place, x2=right, y2=place, class_="grid"))
            ticks.append(element("text", f"{value:g}", x=left - 6, y=place + 4, text_anchor="end"))
        middle = (_HEIGHT - _BOTTOM + _TOP) / 2
        names = [
            element("text", self.x.name, x=(_WIDTH + _LEFT - _RIGHT) / 2, y=_HEIGHT - 6, text_anchor="middle"),
            element(
                "text", self.y.name, x=0, y=0, text_anchor="middle", transform=f"translate(12 {middle:g}) rotate(-90)"
            ),
        ]
        return element(
            "svg", element("title", title), ticks, names, *shapes, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img"
        )


def interval_bar(low: float, value: float, high: float) -> Markup:
    """A number between 0 and 1 with its interval, to stand in a row of a table."""
    return element(
        "svg",
        element("line", x1=0, y1=6, x2=120, y2=6, class_="grid"),
        element("line", x1=120 * low, y1=6, x2=120 * high, y2=6, class_="whisker"),
        element("circle", cx=120 * value, cy=6, r=2.5, class_="dot c0"),
        viewBox="-4 0 128 12",
        class_="spark",
        aria_hidden="true",
    )


def legend(names: Sequence[str]) -> Markup:
    """Which colour is which."""
    return element(
        "ul",
        [element("li", element("span", class_=f"key c{place % COLOURS}"), name) for place, name in enumerate(names)],
        class_="legend",
    )


def difference_bar(low: float, value: float, high: float, widest: float) -> Markup:
    """A difference with its interval, about the middle that stands for none."""
    left, middle, right = (60 + 60 * end / widest for end in (low, value, high))
    return element(
        "svg",
        element("line", x1=60, y1=0, x2=60, y2=12, class_="ideal"),
        element("line", x1=left, y1=6, x2=right, y2=6, class_="whisker"),
        element("circle", cx=middle, cy=6, r=2.5, class_="dot c0"),
        viewBox="-4 0 128 12",
        class_="spark",
        aria_hidden="true",
    )
