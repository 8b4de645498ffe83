"""A calibrated model of a corpus with a stand-in for a language model behind it, as both come out on test."""

import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from _calibrated import files, split, trained
from _cells import Measured
from _corpora import Row
from _ours import succeed
from _responder import Respond, responder
from lightning_clf.calibration import weigh
from lightning_clf.inference.answers import confidence

THOUSAND, SPLITS = 1000, 200


def stand_in(rows: Sequence[Row], names: Sequence[str], accuracy: float) -> Callable[[str], list[str]]:
    """What gives the right labels of a known text to this share of texts, drawn by the text, and else others.

    Args:
        rows: What it knows.
        names: All labels.
        accuracy: The share.
    """
    right = {row["text"]: labels_of(row) for row in rows}

    def labels(text: str) -> list[str]:
        draw, given = random.Random(text), right[text]
        if draw.random() < accuracy:
            return given
        if "label" in rows[0]:
            return [draw.choice([name for name in names if name not in given])]
        return sorted({*given} ^ {draw.choice(names)})

    return labels


def labels_of(row: Row) -> list[str]:
    """The labels of a row, or of an answer."""
    return [str(row["label"])] if "label" in row else list(row["labels"])


def _named(row: Row, of_number: Mapping[str, str]) -> Row:
    """A row with the name of its label, where the corpus has numbers."""
    return {**row, "label": of_number[str(row["label"])]} if isinstance(row.get("label"), int) else row


def run(corpus: str, seed: int, accuracy: float, price: float, runs: Path) -> Measured:
    """Trains, unless there is a model, calibrates, chooses on dev and follows on test, all by the command.

    Args:
        corpus: Which.
        seed: The seed.
        accuracy: The share of texts that the stand-in answers rightly.
        price: What asking about a row costs, where an error costs 1.
        runs: Where runs are kept.
    """
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        source = files(corpus, scratch)
        checkpoint, seconds = trained(corpus, seed, runs, source)
        dev, test = split(source, "dev", "val"), split(source, "test")
        calibrated, cascade = scratch / "calibrated", scratch / "cascade"
        succeed(["calibrate", "--model", str(checkpoint), "--input", dev, "--output", str(calibrated)])
        of_number = json.loads((calibrated / "config.json").read_text(encoding="utf-8"))["id2label"]
        rows = {name: [_named(row, of_number) for row in _lines(file)] for name, file in (("dev", dev), ("test", test))}
        names = sorted(of_number.values())
        labels = stand_in([*rows["dev"], *rows["test"]], names, accuracy)
        with responder(_respond(labels, single="label" in rows["dev"][0])) as url:
            choose = ["cascade", "--model", str(calibrated), "--input", dev, "--output", str(cascade)]
            prices = ["--price-per-call", str(price), "--price-per-error", "1"]
            succeed([*choose, *prices, "--endpoint", url, "--language-model", "stand-in"])
            alone = _answers(["--model", str(calibrated), "--input", test, "--output", str(scratch / "alone.jsonl")])
            follow = ["--model", str(cascade), "--input", test, "--output", str(scratch / "both.jsonl")]
            both = _answers([*follow, "--endpoint", url])
        decided = json.loads((cascade / "lightning_clf.json").read_text(encoding="utf-8"))["decision"]["cascade"]
        found = _costs(rows["test"], alone, both, labels, price)
        found |= {"threshold": decided["threshold"], "train_seconds": seconds}
        return Measured(found, {"val": len(rows["dev"]), "test": len(rows["test"])})


def _costs(
    rows: Sequence[Row], alone: Sequence[Row], both: Sequence[Row], labels: Callable[[str], list[str]], price: float
) -> dict[str, float]:
    """What a thousand rows of test cost in errors: as they were answered, and by the best threshold for just these.

    The first is summed over the answers that were written; all others come of the rows' confidences, of which the best
    threshold is found with the right answers in sight. How much that alone is worth, `ratio/halves` tells: the same
    ratio, of a threshold that is best for one half of test, on the other half.
    """
    right = [set(labels_of(row)) for row in rows]
    asked = [answer["answered_by"] == "language_model" for answer in both]
    wrong = [set(labels_of(answer)) != gold for answer, gold in zip(both, right, strict=True)]
    hits = [set(labels_of(answer)) == gold for answer, gold in zip(alone, right, strict=True)]
    others = [set(labels(row["text"])) == gold for row, gold in zip(rows, right, strict=True)]
    sure = torch.tensor([confidence(answer) for answer in alone], dtype=torch.float64)
    seen = (sure, torch.tensor(hits), torch.tensor(others))
    every = weigh(*seen)
    costs = every.costs(THOUSAND * price, THOUSAND)
    best = every.cheapest(price, 1)
    cost = THOUSAND * (price * sum(asked) + sum(wrong)) / len(rows)
    return {
        "cost": cost,
        "cost/best": float(costs[best]),
        "cost/never": float(costs[0]),
        "cost/always": float(costs[-1]),
        "ratio": cost / float(costs[best]),
        "ratio/halves": _halves(*seen, price),
        "asked": sum(asked) / len(rows),
        "asked/best": float(every.asked[best]) / len(rows),
        "threshold/best": float(every.values[best]),
        "accuracy/classifier": sum(hits) / len(rows),
        "accuracy/stand_in": sum(others) / len(rows),
    }


def _halves(sure: Tensor, hits: Tensor, others: Tensor, price: float) -> float:
    """What a threshold that is best for one half of some rows costs on the other half, in its least cost: the mean."""
    ratios = []
    for number in range(SPLITS):
        order = torch.randperm(len(sure), generator=torch.Generator().manual_seed(number))
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        chosen = weigh(sure[one], hits[one], others[one])
        asked = sure[other] <= chosen.values[chosen.cheapest(price, 1)]
        cost = (price * asked + ~torch.where(asked, others[other], hits[other])).mean()
        ratios.append(float(cost / weigh(sure[other], hits[other], others[other]).costs(price, 1).min()))
    return sum(ratios) / SPLITS


def _respond(labels: Callable[[str], list[str]], *, single: bool) -> Respond:
    def respond(body: dict[str, Any]) -> str:
        given = labels(body["messages"][-1]["content"])
        return json.dumps({"label": given[0]} if single else {"labels": given})

    return respond


def _answers(words: Sequence[str]) -> list[Row]:
    succeed(["predict", *words, "--carry"])
    return list(_lines(words[words.index("--output") + 1]))


def _lines(file: str) -> Iterator[Row]:
    with Path(file).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
