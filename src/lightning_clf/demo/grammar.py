"""Composes sentences of the demo corpus from frames, constructions and phrases.

A clause *pattern* is a frame or predicate put through one construction, with its slots still open (`{PER} was hired by
{ORG} as its new {job}`). Patterns are what is held out: the verb of a held-out one occurs in training in other
constructions, and its construction with other verbs, but never the two together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from lightning_clf.demo import frames
from lightning_clf.demo.names import ENTITY_TYPES, NamePool
from lightning_clf.demo.words import fill

_PEOPLE = ("{who}", "{crowd}", "{expert}", "{tester}", "police", "a judge")
# Questions and clauses that start with a phrase of their own do not go into longer sentences.
_UNJOINABLE = ("question", "why", "gerund", "passive gerund", "besides")
_ENTITY = re.compile(r"(?:an? |the )?\{(PER|ORG|LOC|PRODUCT)!?\}")


@dataclass(frozen=True)
class ClauseKey:
    """Names a clause pattern: what is said, and in which construction.

    Attributes:
        construction: Key of `FRAME_CLAUSES`, or of `PREDICATE_CLAUSES` where `predicate` is set.
        frame: Index of the frame; of the predicate among its type's where `predicate` is set.
        predicate: The entity type whose predicate this is; empty for a frame.
    """

    construction: str
    frame: int
    predicate: str = ""


@dataclass(frozen=True)
class Sentence:
    """A generated sentence.

    Attributes:
        tokens: Its words.
        tags: An IOB2 tag for each word.
        patterns: The patterns of its clauses.
    """

    tokens: list[str]
    tags: list[str]
    patterns: list[str]


def _options(text: str) -> list[str]:
    return [" ".join(option.split()) for option in text.split(";")]


_PREDICATES = {name: _options(text) for name, text in frames.PREDICATES.items()}
_PHRASES = {name: _options(text) for name, text in frames.PHRASES.items()}
_TIMES, _CIRCUMSTANCES = _options(frames.TIMES), _options(frames.CIRCUMSTANCES)
_JOINS, _QUOTES, _PLAIN = _options(frames.JOINS), _options(frames.QUOTES), _options(frames.PLAIN)


def clause_keys() -> list[ClauseKey]:
    """Lists every clause pattern the grammar has.

    Returns:
        One key a pattern, always in the same order.
    """
    keys = [ClauseKey(name, index) for name in frames.FRAME_CLAUSES for index in range(len(frames.FRAMES))]
    for entity_type in ENTITY_TYPES:
        for name in frames.PREDICATE_CLAUSES:
            keys += [ClauseKey(name, index, entity_type) for index in range(len(_PREDICATES[entity_type]))]
    return keys


def _kind(phrase: str) -> str:
    """Whose predicates suit a noun phrase."""
    if match := _ENTITY.fullmatch(phrase):
        return match[1]
    return "someone" if phrase in _PEOPLE else "something"


def clause_pattern(key: ClauseKey, rng: Random) -> str:
    """Puts a frame or predicate through its construction.

    Args:
        key: Which pattern.
        rng: Draws the second predicate of constructions that have one.

    Returns:
        The pattern, its slots open.
    """
    if key.predicate:
        subject = f"{{{key.predicate}}}"
        own, other = _PREDICATES[key.predicate][key.frame], rng.choice(_PREDICATES[key.predicate])
        parts = {"S": subject, "V": own, "U": other, "W": "who" if key.predicate == "PER" else "which"}
        template = frames.PREDICATE_CLAUSES[key.construction]
    else:
        frame = frames.FRAMES[key.frame]
        subject_kind, object_kind = _kind(frame.subject), _kind(frame.object)
        parts = {
            "S": frame.subject,
            "O": frame.object,
            "T": frame.tail,
            "b": frame.base,
            "p": frame.past,
            "pp": frame.participle,
            "g": frame.gerund,
            "W": "who" if subject_kind in ("PER", "someone") else "which",
            "X": "whom" if object_kind == "PER" else "which",
            "V": rng.choice(_PREDICATES[subject_kind]),
            "U": rng.choice(_PREDICATES[object_kind]),
        }
        template = frames.FRAME_CLAUSES[key.construction]
    return " ".join(" ".join(parts.get(word, word) for word in template.split()).split())


class Grammar:
    """Writes sentences from some of the clause patterns with some of the names.

    Args:
        keys: The clause patterns to use.
        names: The parts of names to use.
        rng: Source of randomness.
    """

    def __init__(self, keys: list[ClauseKey], names: NamePool, rng: Random) -> None:
        self._names = names
        self._rng = rng
        self._alone = keys
        self._joinable = [key for key in keys if key.construction not in _UNJOINABLE]

    def sentence(self) -> Sentence:
        """Writes one sentence.

        Returns:
            The sentence with its tags and the patterns it is made of.
        """
        rng = self._rng
        draw = rng.random()
        patterns: list[str] = []
        if draw < 0.06:
            text = rng.choice(_PLAIN)
        elif draw < 0.8:
            key = rng.choice(self._alone)
            patterns = [clause_pattern(key, rng)]
            text = self._with_adjunct(patterns[0], _TIMES if key.predicate else _TIMES + _CIRCUMSTANCES)
        else:
            frame = rng.choice(_QUOTES if draw < 0.9 else _JOINS)
            patterns = [clause_pattern(rng.choice(self._joinable), rng) for letter in "AB" if letter in frame.split()]
            clauses = dict(zip("AB", patterns, strict=False))
            text = " ".join(clauses.get(word, word) for word in frame.split())
        tokens, tags = self._render(text)
        return Sentence(*_finish(tokens, tags), patterns)

    def _with_adjunct(self, clause: str, adjuncts: list[str]) -> str:
        draw = self._rng.random()
        if clause.endswith("?") or draw < 0.6:
            return clause
        adjunct = self._rng.choice(adjuncts)
        return f"{clause} {adjunct}" if draw < 0.85 else f"{adjunct} , {clause}"

    def _render(self, text: str, *, names_only: bool = False) -> tuple[list[str], list[str]]:
        """Fills slots from left to right; `names_only` mentions entities by their names alone."""
        tokens: list[str] = []
        tags: list[str] = []
        for piece in text.split():
            slot, clear = piece.strip("{}!"), "!" in piece
            if not piece.startswith("{"):
                words, word_tags = [piece], ["O"]
            elif slot not in _PHRASES:
                words = fill(slot, self._rng)
                word_tags = ["O"] * len(words)
            elif slot == "who" or (not (clear or names_only or tokens[-1:] in (["a"], ["the"])) and self._full(slot)):
                words, word_tags = self._render(self._rng.choice(_PHRASES[slot]), names_only=True)
            else:
                words = self._names.draw(slot, self._rng, clear=clear)
                word_tags = [f"B-{slot}"] + [f"I-{slot}"] * (len(words) - 1)
            tokens += words
            tags += word_tags
        return tokens, tags

    def _full(self, slot: str) -> bool:
        # Products mostly stand with an article, which their phrases have.
        return self._rng.random() < (0.75 if slot == "PRODUCT" else 0.15)


def _finish(tokens: list[str], tags: list[str]) -> tuple[list[str], list[str]]:
    """Mends commas and articles, starts with a capital and ends with a full stop."""
    kept = list(zip(tokens, tags, strict=True))
    if kept[-1][0] not in ("?", "."):
        kept.append((".", "O"))
    # A phrase that ends in a comma may meet another mark, of which the second says more.
    kept = [
        pair
        for pair, after in zip(kept, [*kept[1:], ("", "O")], strict=True)
        if pair[0] != "," or after[0] not in (",", ".", "?", "and")
    ]
    words = [word for word, _ in kept]
    for index, word in enumerate(words[:-1]):
        if word == "a" and words[index + 1][0].lower() in "aeio":
            words[index] = "an"
    first = 1 if words[0] == '"' else 0
    words[first] = words[first][0].upper() + words[first][1:]
    return words, [tag for _, tag in kept]
