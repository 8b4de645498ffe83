"""Texts as a table shows them."""

from __future__ import annotations

from lightning_clf.data.rows import Example

LONGEST = 200
"""How many characters of a text are shown."""
_NEAR = 6  # words shown before and after those an error is about


def shown(example: Example, longest: int = LONGEST) -> str:
    """The text of a row, its words, or both texts of a pair, shortened."""
    text = example.text if isinstance(example.text, str) else " ".join(example.text)
    parts = [text] if example.pair is None else [text, example.pair]
    return " ‖ ".join(shorten(part, longest // len(parts)) for part in parts)


def around(words: list[str], start: int, end: int) -> str:
    """Some words in brackets, and a few before and after them."""
    before, inside, after = words[:start][-_NEAR:], words[start:end], words[end:][:_NEAR]
    dots = ("…" if start > _NEAR else "", "…" if len(words) > end + _NEAR else "")
    return " ".join(part for part in (dots[0], *before, f"[{' '.join(inside)}]", *after, dots[1]) if part)


def shorten(text: str, longest: int) -> str:
    """A text in one line, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def text_length(example: Example) -> int:
    """The number of words of a row: those given, or what white space divides, of both texts of a pair."""
    if isinstance(example.text, list):
        return len(example.text)
    return len(example.text.split()) + len((example.pair or "").split())
