"""Rows from a language model: what it would cost, the asking, and the files that come of it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lightning_clf.errors import InputError
from lightning_clf.files import writable, write_bytes_atomically
from lightning_clf.inference.writers import json_line
from lightning_clf.language_models.cost import BYTES_A_TOKEN, Prices, Usage
from lightning_clf.language_models.journal import Journal
from lightning_clf.language_models.making import Call, Maker
from lightning_clf.language_models.model import LanguageModel


@dataclass(frozen=True)
class Files:
    """The files of a run.

    Attributes:
        output: The rows.
    """

    output: Path

    @property
    def dropped(self) -> Path:
        """What was no row, and why."""
        return self.output.with_name(f"{self.output.name}.dropped.jsonl")

    @property
    def replies(self) -> Path:
        """The journal."""
        return self.output.with_name(f"{self.output.name}.replies.jsonl")


@dataclass(frozen=True)
class Estimate:
    """What the first round of requests would take; what falls out of it is asked for again, a few times at most.

    Attributes:
        paid: Requests whose replies are there already.
        about: What the others would take, with replies as long as may be expected.
        most: The same with replies as long as they may be.
    """

    paid: int
    about: Usage
    most: Usage


def estimate(calls: Sequence[Call], model: LanguageModel, journal: Journal | None) -> Estimate:
    """Count what requests would take.

    Args:
        calls: The requests.
        model: Counts their tokens.
        journal: What is paid for already, if anything is.
    """
    due = [call for call in calls if journal is None or not journal.has(model, call.prompt)]
    about = most = Usage()
    for call in due:
        one = model.most(call.prompt)
        most += one
        about += Usage(1, one.tokens_in, min(one.tokens_out, call.size // BYTES_A_TOKEN + 1))
    return Estimate(len(calls) - len(due), about, most)


def refuse_beyond(limit: float | None, found: Estimate, prices: Prices, spent: Usage) -> None:
    """Ask nothing where the limit would be reached halfway.

    Raises:
        InputError: If what is about to be asked would go beyond it.
    """
    cost = prices.of(spent) + prices.of(found.about)
    if limit is not None and cost > limit:
        raise InputError(f"about {cost:.4f} would be spent, and --limit-cost is {limit:g}: ask for less, or raise it")


def ask(maker: Maker, calls: list[Call], model: LanguageModel, journal: Journal) -> None:
    """Ask round after round, and have rows made of the answers.

    Args:
        maker: Makes requests, and rows.
        calls: Its first round.
        model: Whom to ask.
        journal: Where replies are kept.

    Raises:
        InputError: If there is no reply to be had, or the budget is at its end.
    """
    with tqdm(desc="augment", unit=" replies", disable=not sys.stderr.isatty()) as bar:
        while calls:
            bar.total = bar.n + len(calls)
            with contextlib.closing(journal.ask_all(model, [call.prompt for call in calls])) as answers:
                for call, answer in zip(calls, answers, strict=True):
                    maker.take(call, answer)
                    bar.update()
            calls = maker.round()


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines, whole or not at all.

    Raises:
        InputError: If they cannot be written.
    """
    with writable(path), write_bytes_atomically(path) as out:
        for row in rows:
            out.write(json_line(row))


def wanted_rows(
    counts: dict[str, int], names: Sequence[str] | None, rows: int | None, ratio: float | None
) -> dict[str, int]:
    """How many new rows each label is to have.

    Args:
        counts: The rows of each label.
        names: The labels to make rows of; `None` takes all that `ratio` finds rare.
        rows: How many of each, for labels that are named.
        ratio: The share of the commonest label's rows up to which each is brought.

    Raises:
        InputError: If it is not said how many, a label is unknown, or none is that rare.
    """
    if (rows is None) == (ratio is None) or (rows is not None and not names):
        raise InputError("say how many rows are wanted: --rows of each of --labels, or --ratio of the commonest label")
    for name in names or ():
        if name not in counts:
            raise InputError(f"label {name!r} of --labels is none of --data ({', '.join(counts)}): correct it")
    if rows is not None:
        return dict.fromkeys(names or (), rows)
    most = max(counts.values())
    missing = {name: round((ratio or 0.0) * most) - counts[name] for name in names or counts}
    found = {name: count for name, count in missing.items() if count > 0}
    if not found:
        raise InputError(f"no label has fewer rows than {ratio:g} of the commonest one's {most}: raise --ratio")
    return found
