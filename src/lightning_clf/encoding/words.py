"""Strings to words, for taggers that are given plain text."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import groupby

# Chinese characters and their kin, which are written without spaces: corpora of tagged words take each for a word
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


@cache
def _pattern() -> re.Pattern[str]:
    """A run of letters and digits with apostrophes and hyphens inside it, or one other visible character."""
    # vowel signs and accents written apart, which \\w leaves out, belong to the letter before them; so do joiners
    codes = [code for code in range(0x110000) if unicodedata.category(chr(code)).startswith("M")]
    # as ranges, through which a search goes several times faster than through each by itself
    runs = [[code for _, code in run] for _, run in groupby(enumerate(codes), lambda pair: pair[1] - pair[0])]
    marks = f"[{''.join(f'{_escaped(run[0])}-{_escaped(run[-1])}' for run in runs)}\u200c\u200d]"
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
