"""Rows of words and tags."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lightning_clf.data.lines import Row
from lightning_clf.data.rows import (
    Example,
    RowFormat,
    UnknownLabelError,
    check_text,
    first_row,
    missing_column,
    pick_column,
)
from lightning_clf.data.split import Split
from lightning_clf.encoding import Tokenizer, encode_words
from lightning_clf.errors import InputError, a_type
from lightning_clf.labels import LabelSpace
from lightning_clf.schemes import Scheme, convert, detect, split_tag

TOKEN_COLUMNS = ("tokens", "words")
TAG_COLUMNS = ("tags", "ner_tags")
_STRAYS = 0.01  # the share of spans an IOB1 file may begin with B- for no reason; CoNLL-2003's train split has 0.0001


@dataclass(frozen=True)
class TokenRows(RowFormat):
    """Words and one tag for each.

    Attributes:
        tokens_column: The column of words.
        tags_column: The column of tags.
        scheme: How the data write spans. The model may write them in another way; its label space says how.
    """

    tokens_column: str
    tags_column: str
    scheme: Scheme

    def read(self, row: Row, where: str) -> Example:
        """Check that a row has words."""
        if self.tokens_column not in row:
            raise missing_column(where, repr(self.tokens_column), row, "tokens_column")
        tokens = _read_list(row[self.tokens_column], self.tokens_column, where)
        if not tokens:
            raise InputError(f"{where} has no words: remove the row")
        words = [check_text(token, f"word {number} of {where}") for number, token in enumerate(tokens, start=1)]
        return Example(words, None, None, where)

    def parse(self, row: Row, where: str) -> Example:
        """Check that a row has words and as many tags."""
        example = self.read(row, where)
        if self.tags_column not in row:
            raise missing_column(where, repr(self.tags_column), row, "tags_column")
        tags = _read_list(row[self.tags_column], self.tags_column, where)
        if len(example.text) != len(tags):
            raise InputError(f"{where} has {len(example.text)} words and {len(tags)} tags: give every word one tag")
        names = [_read_tag(tag, self.scheme, where) for tag in tags]
        return replace(example, label=_plain_iob1(names) if self.scheme == "IOB1" else names)

    def target(self, example: Example, labels: LabelSpace) -> list[int]:
        """The index of every word's tag, written in the label space's scheme."""
        try:
            tags = convert(example.label, self.scheme, labels.scheme or self.scheme)
        except InputError as error:
            raise InputError(f"{example.where}, {error}") from error
        try:
            return [labels.index(tag) for tag in tags]
        except InputError as error:
            known = set(labels.names)
            unknown = next(tag for tag in tags if tag not in known)
            name = unknown if self.scheme == "none" else split_tag(unknown)[1]
            raise UnknownLabelError(name, example.where) from error

    def encode(
        self, tokenizer: Tokenizer, examples: Sequence[Example], max_length: int, stride: int | None = None
    ) -> dict[str, list[Any]]:
        """Words to subword ids."""
        return encode_words(tokenizer, [list(example.text) for example in examples], max_length, stride)

    def inputs(self) -> dict[str, str]:
        """The column of words, and that of tags where it has a name of its own."""
        own = {} if self.tags_column in TAG_COLUMNS else {"label": self.tags_column}
        return {"tokens": self.tokens_column, **own}


def _read_list(value: Any, column: str, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"column {column!r} of {where} is {a_type(value)}, not a list: give one entry a word")
    return value


def _read_tag(tag: Any, scheme: Scheme, where: str) -> str:
    if isinstance(tag, int) and not isinstance(tag, bool) and scheme == "none":
        return str(tag)
    if isinstance(tag, int):
        raise InputError(f"{where} has tag {tag!r}, a number without a name: give tags as names, such as B-PER")
    if tag is None or (isinstance(tag, str) and not tag.strip()):
        raise InputError(f"{where} has the tag {tag!r}: give every word a tag")
    return check_text(tag, f"tag {tag!r} of {where}")


def resolve_columns(split: Split, tokens_column: str | None, tags_column: str | None) -> tuple[str, str]:
    """The columns of words and of tags.

    Args:
        split: The split to look into.
        tokens_column: As configured.
        tags_column: As configured; a number counts the columns of a CoNLL file from 1, and `None` is its last.

    Raises:
        InputError: If the data have no such column.
    """
    row = first_row(split)
    tokens = pick_column("tokens_column", tokens_column, TOKEN_COLUMNS, row, split)
    if tags_column is None and split.format == "conll":
        tags_column = next(reversed(row))
        if tags_column == "1":
            raise InputError(f"{split.name} has one column only: write a word and its tag in every line")
    return tokens, pick_column("tags_column", tags_column, TAG_COLUMNS, row, split)


def _starts(tags: list[str]) -> Iterator[str]:
    """The prefix of each tag whose type is not that of the tag before it."""
    previous = ""
    for prefix, kind in map(split_tag, tags):
        if prefix != "O" and kind != previous:
            yield prefix
        previous = kind


def _plain_iob1(tags: list[str]) -> list[str]:
    """The same spans as IOB1 writes them, which has `B-` only between two spans of one type.

    The CoNLL-2003 files themselves have it elsewhere, twice. What is meant is plain: a span begins.
    """
    plain: list[str] = []
    previous = ""
    for tag in tags:
        prefix, kind = split_tag(tag)
        plain.append(f"I-{kind}" if prefix == "B" and kind != previous else tag)
        previous = kind
    return plain


def survey_tags(split: Split, tokens_column: str, tags_column: str, scheme: Scheme | None) -> tuple[Scheme, list[str]]:
    """Read through the tags of a split.

    Args:
        split: The split, usually train.
        tokens_column: Its words.
        tags_column: Its tags.
        scheme: How it writes spans; `None` to find out.

    Returns:
        The scheme, and every tag in order of first appearance.

    Raises:
        InputError: If the tags are of no one scheme; it says in which lines.
    """
    tags: dict[str, None] = {}
    numbers: list[int] = []
    rows = TokenRows(tokens_column, tags_column, scheme or "IOB2")
    starts: Counter[str] = Counter()
    faults: list[InputError] = []  # of rows, which say nothing of the scheme

    def sequences() -> Iterator[list[str]]:
        for number, row in split.rows():
            numbers.append(number)
            try:
                sequence: list[str] = rows.parse(row, split.where(number)).label
            except InputError as error:
                faults.append(error)
                raise
            tags.update(dict.fromkeys(sequence))
            starts.update(_starts(sequence))
            yield sequence

    if scheme is not None:
        for _ in sequences():
            pass
        return scheme, list(tags)
    try:
        return detect(sequences()), list(tags)
    except InputError as error:
        if error in faults:
            raise
        if starts and not set(starts) - {"B", "I"} and starts["B"] <= _STRAYS * starts["I"]:
            return "IOB1", list(tags)
        # the scheme's own message counts sequences; a user looks for lines
        message = re.sub(r"example index (\d+)", lambda match: split.where(numbers[int(match[1])]), str(error))
        raise InputError(message if split.name in message else f"{split.name}: {message}") from error
