"""Writes the demo corpus: English sentences with people, organisations, places and products, made by a grammar.

Names are ambiguous on purpose, and a part of dev and test is *unseen*: training has neither the patterns of such a
sentence nor any of its entity strings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

from lightning_clf.demo.grammar import ClauseKey, Grammar, Sentence, clause_keys
from lightning_clf.demo.names import name_pools
from lightning_clf.demo.score import strict_spans

SPLITS = ("train", "dev", "test")
# Padding to a few very long sentences would cost a third of the training time.
_LONGEST = 24
_UNSEEN_SHARE = 0.36
_NEW_NAMES_SHARE = 0.2


@dataclass(frozen=True)
class Row:
    """One line of the corpus.

    Attributes:
        tokens: The words.
        tags: An IOB2 tag for each word.
        patterns: The clause patterns the sentence is made of, with their slots open.
        unseen: Whether the sentence has entities, and train has none of their strings and none of the patterns.
    """

    tokens: list[str]
    tags: list[str]
    patterns: list[str]
    unseen: bool = False


def entity_strings(row: Row | Sentence) -> set[str]:
    """Lists the strings of a row's entities.

    Args:
        row: A sentence with its tags.

    Returns:
        The strings, each once, whatever their types.
    """
    return {" ".join(row.tokens[start:end]) for start, end, _ in strict_spans(row.tags)}


def build_corpus(seed: int = 0, train: int = 13_000, dev: int = 800, test: int = 1_200) -> dict[str, list[Row]]:
    """Generates the three splits. No sentence occurs twice.

    Args:
        seed: Seed of everything that is drawn.
        train: Number of training sentences.
        dev: Number of development sentences.
        test: Number of test sentences.

    Returns:
        The rows of each split.
    """
    rng = Random(seed)
    names, keys = name_pools(rng), _deal_keys(rng)
    known: set[str] = set()
    rows: dict[str, list[Row]] = {}
    for split, count in zip(SPLITS, (train, dev, test), strict=True):
        writers = [(Grammar(keys["train"], names["train"], rng), 1.0)]
        if split != "train":
            writers = [
                (Grammar(keys[split], names[split], rng), _UNSEEN_SHARE),
                (Grammar(keys["train"], names[split], rng), _NEW_NAMES_SHARE),
                (Grammar(keys["train"], names["train"], rng), 1 - _UNSEEN_SHARE - _NEW_NAMES_SHARE),
            ]
        rows[split] = _write_rows(writers, count, known, rng)
    patterns = {pattern for row in rows["train"] for pattern in row.patterns}
    strings = {string for row in rows["train"] for string in entity_strings(row)}
    for split in ("dev", "test"):
        rows[split] = [replace(row, unseen=_is_unseen(row, patterns, strings)) for row in rows[split]]
    return rows


def _deal_keys(rng: Random) -> dict[str, list[ClauseKey]]:
    keys = clause_keys()
    rng.shuffle(keys)
    first, second = round(len(keys) * 0.65), round(len(keys) * 0.75)
    return {"train": keys[:first], "dev": keys[first:second], "test": keys[second:]}


def _write_rows(writers: list[tuple[Grammar, float]], count: int, known: set[str], rng: Random) -> list[Row]:
    rows: list[Row] = []
    while len(rows) < count:
        (writer,) = rng.choices([grammar for grammar, _ in writers], [share for _, share in writers])
        sentence = writer.sentence()
        text = " ".join(sentence.tokens)
        if text not in known and len(sentence.tokens) <= _LONGEST:
            known.add(text)
            rows.append(Row(sentence.tokens, sentence.tags, sentence.patterns))
    return rows


def _is_unseen(row: Row, patterns: set[str], strings: set[str]) -> bool:
    own = entity_strings(row)
    return bool(own) and not own & strings and not patterns.intersection(row.patterns)


def write_corpus(rows: dict[str, list[Row]], folder: str | Path) -> None:
    """Writes `train.jsonl`, `dev.jsonl` and `test.jsonl`, each whole or not at all.

    Args:
        rows: The rows of each split.
        folder: Where to write; made if missing.

    Raises:
        OSError: If the folder cannot be written.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    for split, split_rows in rows.items():
        _write_lines(
            Path(folder) / f"{split}.jsonl", (json.dumps(asdict(row), ensure_ascii=False) for row in split_rows)
        )


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
