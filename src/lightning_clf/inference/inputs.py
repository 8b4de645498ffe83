"""What a row must hold, and how it becomes subwords: the same way as in training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_clf.data.rows import check_text, text_of
from lightning_clf.encoding import encode_texts, encode_words, split_words
from lightning_clf.errors import InputError, a_type
from lightning_clf.scorer import Runnable

_OF_SOME = {"text_pair": ("second texts", "pairs"), "tokens": ("words", "words")}
"""The roles that not every model reads: what they are for, and what reads them."""


def reads(artefact: Runnable, role: str) -> bool:
    """Whether a model was trained on what a column of this role holds."""
    if role == "tokens":
        return artefact.labels.kind == "tags"
    return role != "text_pair" or role in artefact.columns


def check_roles(columns: Mapping[str, str], artefacts: Iterable[Runnable], none: str) -> None:
    """Hold the columns that were named against what is read.

    Args:
        columns: Their names, by role.
        artefacts: The models, of which one must read each.
        none: What is said of them where none does, before what it would read.

    Raises:
        InputError: If a column is named that none would read.
    """
    models = list(artefacts)
    for role, (what, read) in _OF_SOME.items():
        if role in columns and not any(reads(one, role) for one in models):
            raise InputError(f"column {columns[role]!r} is named for {what}, and {none} {read}: leave it out")


@dataclass
class ReadRow:
    """A row's inputs.

    Attributes:
        texts: The text, or the two texts of a pair.
        words: For taggers, the words.
        offsets: For taggers given a string, where each word lies in it, as `(start, end)` in characters.
    """

    texts: tuple[str, ...] = ()
    words: list[str] = field(default_factory=list)
    offsets: list[tuple[int, int]] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read."""
        return not any(part.strip() for part in (*self.texts, *self.words))


class Inputs:
    """Reads and encodes rows for one artefact.

    Args:
        artefact: Says which columns were read in training, and how texts are encoded.
        columns: Other names for the roles `text`, `text_pair` and `tokens`.

    Raises:
        InputError: If one is named for pairs or words, which the model does not read.
    """

    def __init__(self, artefact: Runnable, columns: Mapping[str, str]) -> None:
        check_roles(columns, [artefact], "the model reads no")
        self.artefact = artefact
        self.tags = artefact.labels.kind == "tags"
        trained = artefact.columns
        self.tokens = columns.get("tokens", trained.get("tokens", "tokens"))
        self.text = columns.get("text", trained.get("text", "text"))
        # a model trained on the hub's own column name is also given files, where the column is called by its role
        self._text_fallback = self.text if "text" in columns else "text"
        self.pair = columns.get("text_pair", trained.get("text_pair"))
        self.columns = dict(columns)

    def read(self, row: str | Mapping[str, Any], where: str) -> ReadRow:
        """Take the inputs from a row.

        Raises:
            InputError: If a column is missing, or does not hold what it should, or it is no row.
        """
        if isinstance(row, str):
            row = {self.text: row}
        if not isinstance(row, Mapping):
            raise InputError(f"{where} is {a_type(row)}: give a text, or a mapping with {self.said}")
        if self.tags:
            return self._read_words(row, where)
        texts = [self._text(row, self.text, where)]
        if self.pair:
            texts.append(self._text(row, self.pair, where))
        return ReadRow(tuple(texts))

    def check_columns(self, columns: Iterable[str], where: str) -> None:
        """Hold the columns that all rows of a file have against those that are read; plain text has none.

        Raises:
            InputError: If one is missing.
        """
        row = dict.fromkeys(columns) or {self.text: None}
        if not self.tags:
            for column in (self.text, self.pair):
                if column:
                    self._found(row, column, where)
        elif self.tokens not in row:
            self._found(row, self.text, where, also=self.tokens)

    def has_columns(self, row: str | Mapping[str, Any]) -> bool:
        """Whether a row has what is read of it, whatever that holds, and not null."""
        if isinstance(row, str):
            return not self.pair
        if self.tags and row.get(self.tokens) is not None:
            return True
        texts = [self.text, *([self.pair] if self.pair and not self.tags else [])]
        return all(row.get(self.text_column(row, column)) is not None for column in texts)

    @property
    def any_text(self) -> str:
        """The column that a text may always be in: that called by its role, unless another was named."""
        return self._text_fallback

    @property
    def said(self) -> str:
        """The columns that are read, for messages."""
        if self.tags:
            return f"{self.tokens!r} or {self.text!r}"
        return f"{self.text!r} and {self.pair!r}" if self.pair else repr(self.text)

    def encode(self, rows: Sequence[ReadRow]) -> list[dict[str, Any]]:
        """Encode rows for the collator."""
        tokenizer, window = self.artefact.tokenizer, (self.artefact.max_length, self.artefact.stride)
        if self.tags:
            columns = encode_words(tokenizer, [row.words for row in rows], *window)
        else:
            pairs = [row.texts[1] for row in rows] if self.pair else None
            columns = encode_texts(
                tokenizer, [row.texts[0] for row in rows], pairs, *window, symmetric=self.artefact.symmetric
            )
        columns["example_id"] = list(range(len(rows)))
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _read_words(self, row: Mapping[str, Any], where: str) -> ReadRow:
        words = row.get(self.tokens)
        if words is None and (self.tokens not in row or self.text_column(row, self.text) in row):
            text = self._text(row, self.text, where, also=self.tokens)
            offsets = split_words(text)
            return ReadRow((text,), [text[start:end] for start, end in offsets], offsets)
        if not isinstance(words, list):
            raise InputError(
                f'{where}: column {self.tokens!r} must hold a list of words, such as ["Paris", "sleeps"], but '
                f"{'is empty (null)' if words is None else f'holds {a_type(words)}'}: correct the row"
            )
        return ReadRow(words=[check_text(word, f"word {number} of {where}") for number, word in enumerate(words, 1)])

    def _text(self, row: Mapping[str, Any], column: str, where: str, also: str | None = None) -> str:
        found = self._found(row, column, where, also)
        return text_of(row[found], f"column {found!r} of {where}")

    def _found(self, row: Mapping[str, Any], column: str, where: str, also: str | None = None) -> str:
        found = self.text_column(row, column)
        if found not in row:
            wanted = f"{column!r}" + (f" or {also!r}" if also else "")
            raise InputError(
                f"{where} has no column {wanted}, only {', '.join(map(repr, row)) or 'none'}: add it, or name another "
                "with --text-column or --text-pair-column"
            )
        return found

    def text_column(self, row: Mapping[str, Any], column: str) -> str:
        """The column that a text is read from in a row: the one asked for, or that called by its role."""
        return self._text_fallback if column == self.text and column not in row else column
