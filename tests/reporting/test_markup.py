"""Whatever is no markup already is escaped, in text and in attributes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.reporting.markup import element, join, number, table
from tests.reporting.conftest import HOSTILE, Page

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


def test_escaping():
    assert HOSTILE not in element("p", HOSTILE, title=HOSTILE)
    assert element("p", HOSTILE) == "<p>&lt;script&gt;alert(&#x27;&amp;&quot;&#x27;)&lt;/script&gt;</p>"
    assert element("a", element("b", "<"), None, 3, class_="x", aria_hidden="true") == (
        '<a class="x" aria-hidden="true"><b>&lt;</b>3</a>'
    )
    assert element("line", x1=1.5, y1=None) == '<line x1="1.5"/>'
    assert join("<", [element("i", "&"), ">"]) == "&lt;<i>&amp;</i>&gt;"


@given(TEXT, TEXT)
def test_any_text_is_read_as_it_was(name, text):
    page = Page(table([name], [[text]]) + element("p", "", id=text))
    assert page.open == []
    assert page.text == name + text
    assert page.ids == [text]


@pytest.mark.parametrize(("value", "digits", "shown"), [
    (0.123456, 4, '<data value="0.123456">0.1235</data>'),
    (12345, 4, '<data value="12345">12,345</data>'),
    (1e-9, 4, '<data value="1e-09">&lt;0.0001</data>'),
    (0.0, 3, '<data value="0.0">0.000</data>'),
    (-0.5, 1, '<data value="-0.5">-0.5</data>'),
    (None, 4, "–"),
    (math.nan, 4, "–"),
])  # fmt: skip
def test_numbers(value, digits, shown):
    assert number(value, digits) == shown
