"""Imbalanced training sets made of real corpora, and the strategies that are tried on them."""

import json
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import _ours
import _peer
from _cells import Measured
from _corpora import Corpus, Recipe, Row, _rows, bf16_is_native, folder, load

RECIPE = Recipe(epochs=3, learning_rate=1e-4, max_length=64)
DEV_SHARE, TEST_SHARE = 0.1, 0.2
GOEMOTIONS_ROWS = 15_000
# the textbook's case: a set whose five rarest labels are rare indeed, and more rows of theirs to be had
TEXTBOOK_ROWS, FEW, MORE = 8_000, 15, 45
RATES = {"sms-0.5": 0.005, "sms-2": 0.02, "sms-10": 0.1}
# of GoEmotions, the rarest first
RARE = ("grief", "pride", "relief", "nervousness", "embarrassment")

Options = dict[str, object]


def loss(name: str, **init_args: object) -> Options:
    """A loss by its class and arguments, as a key of our command."""
    return {"model.init_args.loss": json.dumps({"class_path": name, "init_args": init_args})}


def _sampling(name: str, **init_args: object) -> Options:
    return {"data.init_args.sampling": json.dumps({"class_path": name, "init_args": init_args})}


def _weights(by: str) -> Options:
    return {"model.init_args.class_weights": by}


# the peer comes first, then plain cross-entropy, which the others are compared with
SINGLE: dict[str, Options | None] = {
    "Trainer, weighted loss": None,
    "cross-entropy": {},
    "weights sqrt_inverse": _weights("sqrt_inverse"),
    "weights inverse": _weights("inverse"),
    "weights effective": _weights("effective"),
    "focal": loss("FocalLoss"),
    "focal, weights inverse": loss("FocalLoss", class_weights="inverse"),
    "logit adjustment": loss("LogitAdjustedLoss"),
    "LDAM, deferred weights": loss("LDAMLoss"),
    "generalised cross-entropy": loss("GeneralizedCrossEntropyLoss"),
    "oversampling sqrt_inverse": _sampling("OverSampling", by="sqrt_inverse"),
    "oversampling inverse": _sampling("OverSampling", by="inverse"),
    "undersampling sqrt_inverse": _sampling("UnderSampling", by="sqrt_inverse"),
}
MULTI: dict[str, Options | None] = {
    "Trainer, weighted loss": None,
    "BCE": loss("BCELoss"),
    "BCE, weights sqrt_inverse": loss("BCELoss", class_weights="sqrt_inverse"),
    "focal": loss("BinaryFocalLoss"),
    "asymmetric": loss("AsymmetricLoss"),
    "distribution-balanced": loss("DistributionBalancedLoss"),
    "oversampling sqrt_inverse": {**loss("BCELoss"), **_sampling("OverSampling", by="sqrt_inverse")},
    "asymmetric, oversampling sqrt_inverse": {
        **loss("AsymmetricLoss"),
        **_sampling("OverSampling", by="sqrt_inverse"),
    },
}
# what the textbook combines; its rows of the rare labels are more, so that it has a setting of its own
TEXTBOOK: dict[str, tuple[str, Options]] = {
    "BCE": ("textbook", loss("BCELoss")),
    "focal, 3x rare, more rows": (
        "textbook-more",
        {**loss("BinaryFocalLoss", gamma=2.0), **_sampling("OverSampling", factors=dict.fromkeys(RARE, 3.0))},
    ),
}


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
    """The setting of a name: `trec`, a key of ``RATES``, `goemotions`, `textbook` or `textbook-more`.

    Dev and test keep the shares of the labels that the corpus has; only train is cut.
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


def _part(rows: Sequence[Row], share: float) -> tuple[list[Row], list[Row]]:
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


def measure(name: str, options: Options | None, seed: int) -> Measured:
    """Trains by one strategy and scores the last epoch's weights.

    Args:
        name: Of a setting.
        options: Keys of our command; `None` is the Hugging Face Trainer with weighted loss.
        seed: The seed.

    Returns:
        `test/…` and `val/…` with `accuracy` (of single labels), `f1_macro` and `f1_rare`, the mean F1 of the rare
        labels; and ``train_seconds``.
    """
    made = setting(name)
    if options is None:
        metrics = _peer.fit_and_score(made.corpus, _recipe(), seed, _weighted(made.corpus))
    else:
        recipe = _recipe()
        common: Options = {
            "data.init_args.max_length": recipe.max_length,
            "data.init_args.batch_size": recipe.batch_size,
            "model.init_args.learning_rate": recipe.learning_rate,
            "trainer.max_epochs": recipe.epochs,
            "trainer.precision": "bf16-mixed" if recipe.bf16 else "32-true",
        }
        is_multi = made.corpus.kind == "multi"
        if is_multi:
            common["data.init_args.labels"] = json.dumps(made.corpus.labels)
        config = "multilabel.yaml" if is_multi else "text.yaml"
        with tempfile.TemporaryDirectory() as scratch:
            common["data.init_args.source"] = str(made.write(Path(scratch)))
            metrics = _ours.fit_and_score(config, seed, {**common, **options}, "last.ckpt")
    wanted = {"train_seconds": metrics["train_seconds"]}
    for stage in ("val", "test"):
        shown = ("f1_macro", "f1_micro" if made.corpus.kind == "multi" else "accuracy")
        wanted |= {f"{stage}/{key}": metrics[f"{stage}/{key}"] for key in shown}
        wanted[f"{stage}/f1_rare"] = sum(metrics[f"{stage}/f1/{label}"] for label in made.rare) / len(made.rare)
    return Measured(wanted, {stage: len(rows) for stage, rows in made.corpus.splits.items()})


def _recipe() -> Recipe:
    return replace(RECIPE, bf16=bf16_is_native())


def _weighted(corpus: Corpus) -> Callable[..., Tensor]:
    """The textbook's loss: cross-entropy weighted by n/(C·nᵢ), or BCE with (n − nᵢ)/nᵢ on what is present."""
    counts = Counter(label for row in corpus.splits["train"] for label in corpus.row_labels(row))
    found = torch.tensor([float(counts[label]) for label in corpus.labels])
    rows = len(corpus.splits["train"])

    def weighted(outputs: Any, labels: Tensor, num_items_in_batch: Tensor | None = None) -> Tensor:
        logits: Tensor = outputs.logits.float()
        if corpus.kind == "multi":
            return functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=(rows - found) / found)
        return functional.cross_entropy(logits, labels, weight=rows / (len(found) * found))

    return weighted
