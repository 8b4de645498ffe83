"""One HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from lightning_clf.reporting.markup import Child, Markup, element, join


class Section(NamedTuple):
    """A part of a page: what it is called in an address, its heading, and what is in it."""

    id: str
    title: str
    body: Markup


def page(title: str, head: Markup, sections: Sequence[Section]) -> str:
    """A page of sections, with a list of them before the first."""
    style = files("lightning_clf.reporting").joinpath("page.css").read_text(encoding="utf-8")
    meta = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # whatever the page holds: it asks for nothing and runs nothing
        element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
    ]
    links = [element("a", section.title, href=f"#{section.id}") for section in sections]
    parts = [element("section", element("h2", section.title), section.body, id=section.id) for section in sections]
    body = element("body", element("header", element("h1", title), head), element("nav", links), element("main", parts))
    document = element(
        "html", element("head", meta, element("title", title), element("style", Markup(style))), body, lang="en"
    )
    return f"<!doctype html>\n{document}\n"


def note(*children: Child) -> Markup:
    """A paragraph that says how something was counted."""
    return element("p", *children, class_="note")


def tile(name: str, value: Markup, below: Child) -> Markup:
    """A number that stands out."""
    return element("div", element("span", name), element("b", value), element("span", below), class_="tile")


def facts(pairs: Sequence[tuple[str, Child]]) -> Markup:
    """Names and what they are."""
    return element("dl", [join(element("dt", name), element("dd", value)) for name, value in pairs])


def folded(summary: str, body: Markup) -> Markup:
    """What is shown when asked for."""
    return element("details", element("summary", summary), body)
