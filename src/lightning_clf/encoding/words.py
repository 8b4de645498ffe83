"""Strings to words, for taggers that are given plain text."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# Chinese characters and their kin, which are written without spaces: corpora of tagged words take each for a word
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


@cache
def _pattern() -> re.Pattern[str]:
    """A run of letters and digits with apostrophes and hyphens inside it, or one other visible character."""
    # vowel signs and accents written apart, which \\w leaves out, belong to the letter before them; so do joiners
    codes = [code for code in range(0x110000) if unicodedata.category(chr(code)).startswith("M")]
    marks = f"[{''.join(map(_escaped, codes))}\u200c\u200d]"
    letter = rf"(?:[^\W{_HAN}]{marks}*)"
    return re.compile(rf"{letter}+(?:[-'’]{letter}+)*|[{_HAN}]{marks}*|[^\w\s]{marks}*")


def _escaped(code: int) -> str:
    return f"\\U{code:08x}"


def split_words(text: str) -> list[tuple[int, int]]:
    """Where the words of a text lie, as character offsets `(start, end)` with `text[start:end]` the word.

    Words do not overlap, hold no white space, and everything that is not white space belongs to one. A Chinese
    character is a word of its own.
    """
    return [match.span() for match in _pattern().finditer(text)]
