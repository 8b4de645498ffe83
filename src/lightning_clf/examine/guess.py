"""Which task a file is for: the columns, the kind of label, and what of that is doubtful."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_clf.data.split import Split
from lightning_clf.data.token_rows import TAG_COLUMNS, TOKEN_COLUMNS, resolve_columns, survey_tags
from lightning_clf.errors import InputError
from lightning_clf.examine.columns import Column, number_in, survey
from lightning_clf.examine.labels import SEPARATORS, joined_by

_LABELS = ("label", "labels", "class", "category", "target", "intent", "sentiment", "topic", "emotion", "emotions")
_SCORES = ("score", "similarity", "similarity_score", "relatedness_score", "relatedness")
_TEXTS = ("text", "sentence", "review", "content", "comment", "tweet", "message", "utterance", "question", "body")
_PAIRS = (("text", "text_pair"), ("premise", "hypothesis"), ("question", "answer"), ("query", "passage"))
_NUMBERED = re.compile(r"(?P<stem>.*?)[_ ]?(?P<which>[12ab])")  # sentence1 and sentence2, text_a and text_b
_IDENTIFIERS = ("id", "idx", "index", "guid", "uid", "uuid", "example_id", "row_id")
_RANGES = ((0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
_A_PHRASE = 2  # words on average, from which on a column is one of texts rather than names

Columns = Mapping[str, Column]


@dataclass
class Guess:
    """What data are taken for.

    Attributes:
        config: The shipped configuration of the task, whose model and trainer sections fit.
        datamodule: The class that reads the data.
        keys: Its keys, but for `source`.
        task: What is predicted of what, in words.
        reason: What that was told by.
        doubts: What may be otherwise, each with what to do then.
    """

    config: str
    datamodule: str
    keys: dict[str, Any]
    task: str
    reason: str
    doubts: list[str] = field(default_factory=list)


def guess(splits: Mapping[str, Split]) -> Guess:
    """Guess the task of a source's splits, by train or the first there is.

    Raises:
        InputError: If a file cannot be read, or its columns are those of no task.
    """
    split = splits.get("train") or next(iter(splits.values()))
    columns = survey(split)
    tagging = _tags(split, columns)
    if tagging is not None:
        return tagging
    labelled = _labelled(split, columns, list(splits.values()))
    rest = [column for name, column in columns.items() if name not in labelled.used]
    labelled.guess.keys = {**_texts(split, columns, rest, labelled.guess), **labelled.guess.keys}
    return labelled.guess


# ------------------------------------------------------------------ words with a tag each


def _tags(split: Split, columns: Columns) -> Guess | None:
    """The guess for sentences of words, if these are some."""
    if split.format == "conll":
        tokens, last = resolve_columns(split, None, None)
        keys: dict[str, Any] = {"tokens_column": tokens, "tags_column": last}
        doubts = []
        if len(columns) > 3:  # the words stand in two of them
            doubts.append(f"the last of {last} columns is read: set data.tags_column to the number of another")
        return _with_scheme(split, keys, f"column {last} of a CoNLL file", doubts)
    lists = [column for column in columns.values() if column.is_lists and column.cells]
    words = _named(lists, TOKEN_COLUMNS) or next((column for column in lists if _fellows(column, lists)), None)
    fellows = _fellows(words, lists) if words is not None else []
    if words is None or not fellows:
        return None
    tags = _named(fellows, TAG_COLUMNS) or fellows[-1]
    others = [repr(column.name) for column in fellows if column is not tags]
    doubts = [f"{', '.join(others)} could be the tags as well: set data.tags_column"] if others else []
    doubts += _rivals(columns, words, *fellows)
    reason = f"{words.name!r} and {tags.name!r} are lists of one length in every row"
    return _with_scheme(split, {"tokens_column": words.name, "tags_column": tags.name}, reason, doubts)


def _fellows(column: Column, lists: Sequence[Column]) -> list[Column]:
    """Other columns whose lists are as long in every row; several labels a text may be, but not in all rows."""
    return [other for other in lists if other is not column and other.sizes == column.sizes]


def _with_scheme(split: Split, keys: dict[str, Any], reason: str, doubts: list[str]) -> Guess:
    scheme, _ = survey_tags(split, keys["tokens_column"], keys["tags_column"], None)
    if scheme == "none":
        task, reason = "a tag a word", f"{reason}, and the tags are not those of spans"
        return Guess("pos.yaml", "TokenDataModule", {**keys, "scheme": scheme}, task, reason, doubts)
    reason = f"{reason}, and the tags are of scheme {scheme}"
    return Guess("ner.yaml", "TokenDataModule", {**keys, "scheme": scheme}, "spans of words", reason, doubts)


# ------------------------------------------------------------------ texts with a label, several, or a score


@dataclass
class _Labelled:
    """A guess of what is predicted, and the columns that are read for it."""

    guess: Guess
    used: tuple[str, ...]


def _labelled(split: Split, columns: Columns, splits: Sequence[Split]) -> _Labelled:
    """What is predicted of texts.

    Raises:
        InputError: If no column looks like a label.
    """
    several = [column for column in columns.values() if column.is_lists and column.cells]
    named = _named(list(columns.values()), (*_LABELS, *_SCORES))
    if several:
        listed = _named(several, _LABELS) or several[-1]
        reason = f"{listed.name!r} holds lists"
        return _Labelled(_several({"label_column": listed.name}, reason, []), (listed.name,))
    likely = [column for column in columns.values() if column.is_flags and not _is_identifier(column)]
    flags = [column for column in likely if not column.gaps]
    if named is None and len(flags) > 1:
        names = [column.name for column in flags]
        reason = f"{len(names)} columns hold 0 and 1 only"
        torn = [f"{column.name!r} ({column.gaps} cells)" for column in likely if column.gaps]
        doubts = (
            [f"not read, as 0 or 1 is missing in {', '.join(torn)}: set data.label_columns once filled"] if torn else []
        )
        return _Labelled(_several({"label_columns": names}, reason, doubts), tuple(names))
    column = named or _repeating(columns)
    if column is None or not column.cells:
        raise _hopeless(split, columns, "no column looks like a label")
    doubts = []
    if named is None:
        doubts.append(f"no column is called label, so that {column.name!r} was taken: set data.label_column")
    if len(flags) > 1 and column not in flags:
        doubts.append(f"{len(flags)} columns hold 0 and 1, but {column.name!r} was taken: set data.label_columns")
    doubts += _rivals(columns, column)
    return _Labelled(_of_column(split, column, splits, doubts), (column.name,))


def _rivals(columns: Columns, *taken: Column) -> list[str]:
    """What is said of columns that are called as labels are, and are not read."""
    others = [column for column in columns.values() if column.name.lower() in (*_LABELS, *_SCORES) and column.cells]
    names = [repr(column.name) for column in others if column not in taken]
    return (
        [f"{', '.join(names)} could be learned instead, or beside: set data.label_column, or take several tasks"]
        if names
        else []
    )


def _of_column(split: Split, column: Column, splits: Sequence[Split], doubts: list[str]) -> Guess:
    name = column.name
    if column.is_numbers and (name.lower() in _SCORES or not column.is_whole):
        return _score(column, splits, doubts)
    separator = _separator(column)
    if separator is not None:
        reason = f"cells of {name!r} hold labels with {separator!r} between them"
        return _several({"label_column": name, "label_separator": separator}, reason, doubts)
    if column.is_distinct and column.cells > 1:
        raise InputError(
            f"{split.name}: column {name!r} looks like the label, but has another value in every row ({column.cells}): "
            "give a file with rows that share labels, or write the configuration by hand"
        )
    if column.is_whole and len(column.known) > 2:
        doubts = [
            *doubts,
            f"{len(column.known)} whole numbers are taken for classes: if they are a scale, set data.kind: score, "
            "data.score_range and model.class_path: SimilarityRegressor",
        ]
    found = ", ".join(map(str, list(column.values)[:6])) + (" …" if len(column.values) > 6 else "")
    reason = f"{name!r} has {len(column.values)} values in {column.cells} rows ({found})"
    return Guess("text.yaml", "SequenceDataModule", {"label_column": name}, "one label", reason, doubts)


def _several(keys: dict[str, Any], reason: str, doubts: list[str]) -> Guess:
    return Guess("multilabel.yaml", "MultiLabelDataModule", keys, "any of several labels", reason, doubts)


def _score(column: Column, splits: Sequence[Split], doubts: list[str]) -> Guess:
    cells = (row.get(column.name) for split in splits for _, row in split.rows())
    numbers = [number for cell in cells if (number := number_in(cell)) is not None]
    low, high = min(numbers), max(numbers)
    fitting = [limits for limits in _RANGES if limits[0] <= low and high <= limits[1]]
    limits = min(
        fitting,
        key=lambda pair: pair[1] - pair[0],
        default=(math.floor(low), max(math.ceil(high), math.floor(low) + 1)),
    )
    doubts = [
        *doubts,
        f"scores from {low:g} to {high:g} were met: set data.score_range to what they can be, if it is not "
        f"{limits[0]:g} to {limits[1]:g}",
    ]
    keys = {"kind": "score", "label_column": column.name, "score_range": [float(limit) for limit in limits]}
    return Guess("sts.yaml", "SequenceDataModule", keys, "a score", f"{column.name!r} holds numbers", doubts)


def _separator(column: Column) -> str | None:
    """What stands between several labels in one cell, if that is how they look."""
    names = [value for value in column.values if isinstance(value, str)]
    if column.empty or column.name.lower().endswith("s"):  # no label, or a name in the plural: there may be several
        held = {separator: sum(separator in name for name in names) for separator in SEPARATORS}
        separator = max(SEPARATORS, key=held.__getitem__)
        return separator if held[separator] else None
    return joined_by(names)


def _repeating(columns: Columns) -> Column | None:
    """The column without a telling name whose values repeat the most."""
    fitting = [
        column
        for column in columns.values()
        if not _is_identifier(column) and 1 < len(column.values) <= column.cells / 2 and not column.is_lists
    ]
    return min(fitting, key=lambda column: (column.mean_words, len(column.values)), default=None)


def _is_identifier(column: Column) -> bool:
    return column.name.lower() in _IDENTIFIERS or (column.is_whole and column.is_distinct and column.cells > 2)


# ------------------------------------------------------------------ the texts themselves


def _texts(split: Split, columns: Columns, rest: Sequence[Column], found: Guess) -> dict[str, str]:
    """The keys of the columns of texts; adds to the guess what they are, and what may be otherwise.

    Raises:
        InputError: If no column is left that holds text.
    """
    texts = [column for column in rest if column.is_texts and column.cells and column.name.lower() not in _IDENTIFIERS]
    texts = [column for column in texts if not column.is_numbers] or texts
    if not texts:
        raise _hopeless(split, columns, "no column holds text")
    pair = _pair(texts)
    if pair is not None:
        found.task += " a pair of texts"
        found.reason += f", {pair[0].name!r} and {pair[1].name!r} are a pair by their names"
        read = list(pair)
        keys = {"text_column": pair[0].name, "text_pair_column": pair[1].name}
    else:
        read = [_named(texts, _TEXTS) or max(texts, key=lambda column: column.mean_words)]
        found.task += " a text"
        found.reason += f", {read[0].name!r} holds the texts"
        keys = {"text_column": read[0].name}
    others = [repr(column.name) for column in texts if column not in read and column.mean_words >= _A_PHRASE]
    if others and pair is None:
        found.doubts.append(
            f"text in {', '.join(others)} is not read: set data.text_pair_column to read one column as second text"
        )
    return keys


def _pair(texts: Sequence[Column]) -> tuple[Column, Column] | None:
    by_name = {column.name.lower(): column for column in texts}
    for first, second in _PAIRS:
        if first in by_name and second in by_name:
            return by_name[first], by_name[second]
    for name, column in by_name.items():
        match = _NUMBERED.fullmatch(name)
        if match is not None and match["which"] in "1a":
            other = name[:-1] + {"1": "2", "a": "b"}[match["which"]]
            if other in by_name:
                return column, by_name[other]
    return None


def _named(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    """The column with the first of some names that there is, whatever its capitals."""
    by_name = {column.name.lower(): column for column in columns}
    return next((by_name[name] for name in names if name in by_name), None)


def _hopeless(split: Split, columns: Columns, what: str) -> InputError:
    held = ", ".join(
        f"{column.name} ({'lists' if column.is_lists and column.cells else 'text' if column.is_texts else 'values'}, "
        f"{len(column.values)} different in {column.cells + column.empty} rows)"
        for column in columns.values()
    )
    return InputError(
        f"{split.name}: {what} among the columns {held}: give text and label (labels, score), or tokens and tags"
    )
