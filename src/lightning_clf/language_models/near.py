"""Texts that are nearly one that is known: the Jaccard similarity of their shingles, exactly.

A text is read without regard to case and punctuation, as the set of all runs of five characters in it. Replacing one
word of five letters in a text of sixty characters leaves a similarity of 0.72, replacing two 0.51.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

LENGTH = 5
_BREAK = re.compile(r"[\W_]+")


class Match(NamedTuple):
    """What a text is nearly.

    Attributes:
        where: Where the other one is.
        similarity: How alike they are: 1 for the same shingles.
    """

    where: str
    similarity: float


class NearTexts:
    """Known texts, asked for one that is at least so similar.

    Two sets that are, share one of their rarest shingles: of a set of n, one of the n - ⌈threshold · n⌉ + 1 rarest, in
    any order of rarity that is the same for all. Only these are looked up, and what is found is compared in full.

    Args:
        threshold: The similarity, above 0 and at most 1.
        known: Texts and where they are.
        rarity: How often texts like these have each shingle; `None` counts those that are known. An order that does not
            know the common ones finds the same, but compares each text with nearly all.
    """

    def __init__(
        self, threshold: float, known: Iterable[tuple[str, str]] = (), rarity: Mapping[str, int] | None = None
    ) -> None:
        self._threshold = threshold
        self._known: list[tuple[str, str]] = []
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        texts = list(known)
        self._rarity = count_shingles(text for text, _ in texts) if rarity is None else rarity
        for text, where in texts:
            self.add(text, where)

    def add(self, text: str, where: str) -> None:
        """Know one more."""
        for shingle in self._rarest(shingles(text)):
            self._places[shingle].append(len(self._known))
        self._known.append((text, where))

    def find(self, text: str) -> Match | None:
        """The most similar text, the first of several; `None` if none is as similar as it must be."""
        own = shingles(text)
        places = sorted({place for shingle in self._rarest(own) for place in self._places.get(shingle, ())})
        matches = (Match(where, jaccard(own, shingles(other))) for other, where in map(self._known.__getitem__, places))
        best = max(matches, key=lambda match: match.similarity, default=None)
        return best if best is not None and best.similarity >= self._threshold else None

    def _rarest(self, own: set[str]) -> list[str]:
        # without the margin 0.07 · 100 = 7.000000000000001 would be one shingle too few
        count = len(own) - math.ceil(self._threshold * len(own) - 1e-9) + 1
        return sorted(own, key=lambda shingle: (self._rarity.get(shingle, 0), shingle))[:count]


def shingles(text: str) -> set[str]:
    """All runs of five characters; of a shorter text itself."""
    normal = _BREAK.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip() or text.strip()
    return {normal[start : start + LENGTH] for start in range(max(1, len(normal) - LENGTH + 1))}


def count_shingles(texts: Iterable[str]) -> Counter[str]:
    """In how many texts each shingle is."""
    return Counter(shingle for text in texts for shingle in shingles(text))


def jaccard(one: set[str], other: set[str]) -> float:
    """The share of what either has that both have."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)
