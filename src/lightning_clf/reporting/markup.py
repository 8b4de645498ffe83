"""HTML of Python values: what is not markup already is escaped, so that nothing of a user's can become markup."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

_EMPTY = {"meta", "line", "circle", "rect", "polyline", "path", "br"}


class Markup(str):
    """Text that is markup."""

    __slots__ = ()


Child = str | int | None


def element(name: str, /, *children: Child | Iterable[Child], **attributes: str | float | None) -> Markup:
    """An element.

    Args:
        name: Its name.
        children: What is in it; a string that is no `Markup` is escaped, and `None` is nothing.
        attributes: Its attributes, escaped; a trailing `_` is dropped, other ones are hyphens, and `None` is left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Markup(f"<{name}{given}>" if name in ("meta", "br") else f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{join(*children)}</{name}>")


def join(*children: Child | Iterable[Child]) -> Markup:
    """Markup and escaped text, one after another."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(html.escape(child))
        elif isinstance(child, int):
            parts.append(str(child))
        elif child is not None:
            parts.append(join(*child))
    return Markup("".join(parts))


def number(value: float | None, digits: int = 4) -> Markup:
    """A number as it is read, which holds the whole of it; a dash where there is none."""
    if value is None or math.isnan(value):
        return Markup("–")
    least = 10.0**-digits
    shown = f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"
    if isinstance(value, float) and 0 < value < least / 2:
        shown = f"<{least:.{digits}f}"
    return element("data", shown, value=repr(value))


def table(header: Sequence[Child], rows: Iterable[Sequence[Child]], text: Sequence[int] = (0,)) -> Markup:
    """A table that scrolls by itself where it is too wide.

    Args:
        header: What columns are called.
        rows: Their cells.
        text: Which columns hold text rather than numbers.
    """

    def cells(name: str, row: Sequence[Child]) -> list[Markup]:
        return [element(name, cell, class_=None if place in text else "n") for place, cell in enumerate(row)]

    head = element("thead", element("tr", cells("th", header)))
    body = element("tbody", [element("tr", cells("td", row)) for row in rows])
    return element("div", element("table", head, body), class_="scroll")


def _plain(value: str | float | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
