"""Imbalanced training sets made of real corpora, and corpora divided in other ways."""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from _corpora import Corpus, Row, _rows, folder, load

DEV_SHARE, TEST_SHARE = 0.1, 0.2
GOEMOTIONS_ROWS = 15_000
# the textbook's case: a set whose five rarest labels are rare indeed, and more rows of theirs to be had
TEXTBOOK_ROWS, FEW, MORE = 8_000, 15, 45
RATES = {"sms-0.5": 0.005, "sms-2": 0.02, "sms-10": 0.1}
# what of all rows is dev, and as much is test
PARTED = {"trec-thirds": Fraction(1, 3), "trec-tenth": Fraction(9, 20), "trec-twentieth": Fraction(19, 40)}
# of GoEmotions, the rarest first
RARE = ("grief", "pride", "relief", "nervousness", "embarrassment")


@dataclass(frozen=True)
class Setting:
    """A training set with rare labels, a dev split and a test split.

    Attributes:
        corpus: Its rows.
        rare: The labels that are rare: one of a single-label set, the five rarest of a multi-label one.
    """

    corpus: Corpus
    rare: tuple[str, ...]

    def write(self, target: Path) -> Path:
        """Writes each split to a file of a folder, as a user has them."""
        for stage, rows in self.corpus.splits.items():
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (target / f"{stage}.jsonl").write_text(lines, encoding="utf-8")
        return target


def setting(name: str) -> Setting:
    """The setting of a name: `trec`, a key of ``PARTED`` or ``RATES``, `goemotions`, `textbook` or `textbook-more`.

    Dev and test keep the shares of the labels that the corpus has; only train is cut. Those of ``PARTED`` are all of
    TREC, whose dev and test tell more than its own 500 rows of test.
    """
    if name in ("goemotions", "textbook", "textbook-more"):
        whole = load("goemotions")
        train = _mixed(whole.splits["train"])
        train = train[:GOEMOTIONS_ROWS] if name == "goemotions" else _capped(train, FEW, MORE if "more" in name else 0)
        return Setting(Corpus("multi", whole.labels, {**whole.splits, "train": train}), RARE)
    if name == "trec":
        whole = load(name)
        rows = [{"text": row["text"], "label": row["label"]} for row in whole.splits["train"]]
        dev, train = _part(rows, DEV_SHARE)
        corpus = Corpus("single", whole.labels, {"train": train, "val": dev, "test": whole.splits["test"]})
        return Setting(corpus, ("ABBR",))
    if name in PARTED:
        whole, held_out = load("trec"), PARTED[name]
        every = {
            row["text"]: {"text": row["text"], "label": row["label"]} for rows in whole.splits.values() for row in rows
        }
        test, rest = _part(list(every.values()), held_out)
        dev, train = _part(rest, held_out / (1 - held_out))
        return Setting(Corpus("single", whole.labels, {"train": train, "val": dev, "test": test}), ("ABBR",))
    rows = list({row["text"]: row for row in _rows(folder("sms_spam") / "all.jsonl")}.values())
    test, rest = _part(rows, TEST_SHARE)
    dev, train = _part(rest, DEV_SHARE)
    ham = [row for row in train if row["label"] == "ham"]
    spam = [row for row in train if row["label"] == "spam"]
    kept = round(RATES[name] / (1 - RATES[name]) * len(ham))
    corpus = Corpus("single", ("ham", "spam"), {"train": _mixed([*ham, *spam[:kept]]), "val": dev, "test": test})
    return Setting(corpus, ("spam",))


def _mixed(rows: Sequence[Row]) -> list[Row]:
    return random.Random(0).sample(list(rows), len(rows))


def _part(rows: Sequence[Row], share: float | Fraction) -> tuple[list[Row], list[Row]]:
    """Takes a share of the rows of each class out, the same whenever it is asked."""
    by_label: defaultdict[str, list[Row]] = defaultdict(list)
    for row in _mixed(rows):
        by_label[str(row["label"])].append(row)
    taken, left = [], []
    for some in by_label.values():
        cut = round(share * len(some))
        taken += some[:cut]
        left += some[cut:]
    return taken, left


def _capped(rows: Sequence[Row], few: int, more: int) -> list[Row]:
    """Rows with so few of each rare label, and at the end so many more of them, where the corpus has them."""
    common, rare = [], {label: list[Row]() for label in RARE}
    for row in rows:
        labels = [label for label in RARE if label in row["labels"]]
        (rare[labels[0]] if labels else common).append(row)
    kept = [row for some in rare.values() for row in some[:few]]
    added = [row for some in rare.values() for row in some[few : few + more]]
    return _mixed([*common[: TEXTBOOK_ROWS - len(kept)], *kept]) + added
