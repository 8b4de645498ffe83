"""Words that training did not hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

_WORD = re.compile(r"\w+(?:['’]\w+)*")
MOST = 20
"""How many of the most frequent unseen words are named."""


def words_of(text: str | Sequence[str]) -> list[str]:
    """The words of a text, or the words given, in small letters."""
    return [word.casefold() for word in (_WORD.findall(text) if isinstance(text, str) else text)]


def unseen_words(texts: Sequence[list[str]], right: Sequence[bool], seen: Iterable[str]) -> dict[str, Any]:
    """How many words of right and of wrong rows training did not hold, and which.

    Args:
        texts: The words of each row.
        right: Whether its answer is right.
        seen: The words of training.

    Returns:
        `right` and `wrong` with `words`, `unseen` and `share` (`None` without words), and `frequent`: the most frequent
        unseen words with how often they stand in right and in wrong rows.
    """
    known = set(seen)
    totals = {True: 0, False: 0}
    unseen: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for words, is_right in zip(texts, right, strict=True):
        totals[is_right] += len(words)
        unseen[is_right].update(word for word in words if word not in known)
    frequent = sorted((unseen[True] + unseen[False]).items(), key=lambda item: (-item[1], item[0]))[:MOST]
    return {
        **{
            name: _share(sum(unseen[side].values()), totals[side]) for name, side in (("right", True), ("wrong", False))
        },
        "frequent": [{"word": word, "right": unseen[True][word], "wrong": unseen[False][word]} for word, _ in frequent],
    }


def _share(unseen: int, words: int) -> dict[str, Any]:
    return {"words": words, "unseen": unseen, "share": unseen / words if words else None}
