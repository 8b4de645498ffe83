"""Rows as a table that a person edits, and the table as rows again."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning_clf.data.readers import read_rows
from lightning_clf.data.rows import check_text
from lightning_clf.errors import InputError
from lightning_clf.files import write_atomically
from lightning_clf.language_models.corpus import Corpus

COLUMNS = KEEP, LABEL, TEXT, REST = "keep", "label", "text", "rest"
_YES, _NO = {"1", "yes", "y", "true", "x"}, {"0", "no", "n", "false", ""}
_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet may compute, and what such a cell is written as


def refuse_edited(path: Path) -> None:
    """Hold the name of a table that is to be written against what is there.

    Raises:
        InputError: If there is a file, which may have been edited.
    """
    if path.exists():
        raise InputError(f"{path} is there already, and may hold what a person decided: remove it, or name another")


def write_review(path: Path, rows: Iterable[dict[str, Any]], corpus: Corpus) -> None:
    """Write a table of a row's label, its text and whether it is to be kept, which is 1 at first.

    Several labels are a JSON list. What else a row holds is JSON in the last cell, to be left as it is. A cell that a
    spreadsheet would take for a formula begins with an apostrophe.

    Args:
        path: The file.
        rows: The rows.
        corpus: Says which columns they have.

    Raises:
        InputError: If it cannot be written.
    """
    with write_atomically(path) as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        for row in rows:
            rest = dict(row)
            text, label = rest.pop(corpus.text_column), rest.pop(corpus.label_column)
            cell = json.dumps(label, ensure_ascii=False) if corpus.is_multi else label
            out.writerow(["1", _plain(cell), _plain(text), json.dumps(rest, ensure_ascii=False, default=str)])


def read_review(file: str, corpus: Corpus) -> list[dict[str, Any]]:
    """The rows of a table that are to be kept, as they were edited.

    Args:
        file: The table.
        corpus: Says which labels there are, and which columns the rows have.

    Raises:
        InputError: If the file cannot be read, or a row of it cannot be understood.
    """
    kept = []
    for number, row in read_rows(Path(file).expanduser(), "csv", file):
        where = f"{file} line {number}"
        if missing := [name for name in COLUMNS if name not in row]:
            raise InputError(f"{file} has no column {missing[0]!r}: give a table that --review wrote")
        answer = str(row[KEEP]).strip().casefold()
        if answer not in _YES | _NO:
            raise InputError(f"column {KEEP!r} of {where} is {row[KEEP]!r}: write 1 to keep the row, or 0")
        if answer in _NO:
            continue
        text = check_text(_as_meant(row[TEXT] or ""), f"column {TEXT!r} of {where}")
        if not text.strip():
            raise InputError(f"column {TEXT!r} of {where} is empty: give a text, or write 0 in {KEEP!r}")
        labels = _labels(_as_meant(row[LABEL] or ""), where, corpus)
        kept.append(_rest(row[REST] or "", where) | corpus.columns(text, labels))
    return kept


def _labels(cell: str, where: str, corpus: Corpus) -> list[str]:
    labels: Any = [cell.strip()]
    if corpus.is_multi:
        try:
            labels = json.loads(cell)
        except (ValueError, RecursionError):
            labels = None
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise InputError(f'column {LABEL!r} of {where} is {cell!r}: write a list of labels, such as ["a", "b"]')
    for label in labels:
        corpus.refuse_unknown(label, where)
    return list(labels)


def _rest(cell: str, where: str) -> dict[str, Any]:
    try:
        rest = json.loads(cell)
    except (ValueError, RecursionError):
        rest = None
    if not isinstance(rest, dict):
        raise InputError(f"column {REST!r} of {where} is not what --review wrote: leave it as it is")
    return dict(rest)


def _plain(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _as_meant(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
