"""Strings to words, for taggers that are given plain text."""

from __future__ import annotations

import re

# a run of letters and digits, with apostrophes and hyphens inside it kept, or one other visible character
_WORD = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]")


def split_words(text: str) -> list[tuple[int, int]]:
    """Where the words of a text lie, as character offsets `(start, end)` with `text[start:end]` the word.

    Words do not overlap, hold no white space, and everything that is not white space belongs to one.
    """
    return [match.span() for match in _WORD.finditer(text)]
