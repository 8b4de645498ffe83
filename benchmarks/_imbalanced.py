"""The strategies that are tried on imbalanced training sets, and what each comes to."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import _ours
import _peer
from _cells import Measured
from _corpora import Corpus, Recipe, bf16_is_native
from _settings import RARE, Setting, setting
from _thresholds import at_half_and_tuned
from lightning_clf.inference import load_classifier
from lightning_clf.inference.held_out import read_held_out

RECIPE = Recipe(epochs=3, learning_rate=1e-4, max_length=64)
# the rate of `multilabel.yaml` and the epochs of `multilabel_imbalanced.yaml`
MULTI_RECIPE = Recipe(epochs=4, learning_rate=2e-4, max_length=64)

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


def measure(name: str, options: Options | None, seed: int) -> Measured:
    """Trains on the setting of a name, as `measure_setting` does."""
    return measure_setting(setting(name), options, seed)


def measure_setting(made: Setting, options: Options | None, seed: int) -> Measured:
    """Trains by one strategy and scores the last epoch's weights.

    Args:
        made: A training set, and what it is judged by.
        options: Keys of our command; `None` is the Hugging Face Trainer with weighted loss.
        seed: The seed.

    Returns:
        ``train_seconds``, and `test/…` and `val/…`: of single labels `accuracy`, `f1_macro` and `f1_rare`, the F1 of
        the rare label; of many, each at one half and at tuned thresholds, `f1_macro`, `f1_micro` and `f1_rare`, the
        mean F1 of the rare ones.
    """
    is_multi = made.corpus.kind == "multi"
    recipe = replace(MULTI_RECIPE if is_multi else RECIPE, bf16=bf16_is_native())
    metrics = _theirs(made, recipe, seed) if options is None else _own(made, recipe, seed, options)
    wanted = {"train_seconds": metrics["train_seconds"]}
    for stage in ("val", "test"):
        for how in ("_at_half", "_tuned") if is_multi else ("",):
            for key in ("f1_macro", "f1_micro") if is_multi else ("f1_macro", "accuracy"):
                wanted[f"{stage}/{key}{how}"] = metrics[f"{stage}/{key}{how}"]
            each = [metrics[f"{stage}/f1{how}/{label}"] for label in made.rare]
            wanted[f"{stage}/f1_rare{how}"] = sum(each) / len(each)
    return Measured(wanted, {stage: len(rows) for stage, rows in made.corpus.splits.items()})


def _theirs(made: Setting, recipe: Recipe, seed: int) -> dict[str, float]:
    """The Hugging Face Trainer with the textbook's loss."""
    loss = _weighted(made.corpus)
    if made.corpus.kind == "single":
        return _peer.fit_and_score(made.corpus, recipe, seed, loss)
    seconds, logits = _peer.fit_and_predict(made.corpus, recipe, seed, loss)
    probabilities = {stage: 1 / (1 + np.exp(-some.astype(np.float64))) for stage, some in logits.items()}
    truth = {
        stage: np.array([[label in row["labels"] for label in made.corpus.labels] for row in made.corpus.splits[stage]])
        for stage in probabilities
    }
    return {"train_seconds": seconds, **at_half_and_tuned(made.corpus.labels, truth, probabilities)}


def _own(made: Setting, recipe: Recipe, seed: int, options: Options) -> dict[str, float]:
    """Our command."""
    corpus = made.corpus
    with tempfile.TemporaryDirectory() as scratch:
        source, run = made.write(Path(scratch)), Path(scratch, "run")
        common: Options = {
            "data.init_args.source": str(source),
            "data.init_args.max_length": recipe.max_length,
            "data.init_args.batch_size": recipe.batch_size,
            "model.init_args.learning_rate": recipe.learning_rate,
            "trainer.max_epochs": recipe.epochs,
            "trainer.precision": "bf16-mixed" if recipe.bf16 else "32-true",
        }
        if corpus.kind == "single":
            return _ours.fit_and_score("text.yaml", seed, {**common, **options}, "last.ckpt")
        common["data.init_args.labels"] = json.dumps(corpus.labels)
        metrics = _ours.fit_and_score("multilabel.yaml", seed, {**common, **options}, "last.ckpt", run)
        classifier = load_classifier(run / "last.ckpt")
        held = {stage: read_held_out(classifier, str(source / f"{stage}.jsonl"), {}, 64) for stage in ("val", "test")}
    truth = {stage: some.targets.numpy() for stage, some in held.items()}  # by length, as the logits are
    probabilities = {stage: some.logits.double().sigmoid().numpy() for stage, some in held.items()}
    return {"train_seconds": metrics["train_seconds"], **at_half_and_tuned(corpus.labels, truth, probabilities)}


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
