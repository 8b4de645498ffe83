"""Our side: the peer's recipe through our command, and our shipped configurations with encoder and source set."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import Callback, Trainer

from _blocks import Gate
from _cells import Stopwatch
from _corpora import RECIPES, Recipe, encoder, file, folder, precision
from lightning_clf.batch import Batch
from lightning_clf.cli import main

CONFIGS = {
    "sst2": "sst2.yaml",
    "trec": "text.yaml",
    "trec-thirds": "text.yaml",
    "trec-tenth": "text.yaml",
    "trec-twentieth": "text.yaml",
    "sick": "nli.yaml",
    "conll2003": "ner.yaml",
    "goemotions": "multilabel.yaml",
    "pos": "pos.yaml",
}
# what the peer's Trainer minimises where our configuration would choose another loss
PEER_LOSSES = {"goemotions": "BCELoss"}


def recipe(corpus: str, seed: int) -> dict[str, float]:
    """Runs the peer's recipe: its epochs, learning rate and loss, and the last epoch's weights as they are."""
    # the peer trains on all of train and chooses nothing on dev: a held-out part would be fewer rows
    val = file(corpus, "dev")
    files = {"train": file(corpus, "train"), "val": val if val.exists() else file(corpus, "test")}
    source = json.dumps({split: str(path) for split, path in {**files, "test": file(corpus, "test")}.items()})
    options = {**_options(corpus, RECIPES[corpus]), "data.init_args.source": source}
    return _run(corpus, seed, options, checkpoint="last.ckpt")


def _options(corpus: str, numbers: Recipe) -> dict[str, object]:
    """The peer's recipe in our keys."""
    options: dict[str, object] = {
        "model.init_args.learning_rate": numbers.learning_rate,
        "model.init_args.weight_decay": numbers.weight_decay,
        "model.init_args.warmup_ratio": numbers.warmup_ratio,
        "data.init_args.batch_size": numbers.batch_size,
        "data.init_args.max_length": numbers.max_length,
        "trainer.max_epochs": numbers.epochs,
        "trainer.gradient_clip_val": numbers.max_gradient_norm,
        "trainer.precision": precision(numbers.bf16),
    }
    if corpus in PEER_LOSSES:
        options["model.init_args.loss"] = PEER_LOSSES[corpus]
    return options


def shipped(corpus: str, seed: int) -> dict[str, float]:
    """Runs the shipped configuration with nothing set but encoder and source; the best epoch is chosen on dev."""
    options = {"data.init_args.source": str(folder(corpus)), "trainer.precision": precision()}
    return _run(corpus, seed, options, checkpoint="best.ckpt")


class StepGate(Callback):
    """Passes the gate after every step; given to the command by its name."""

    gate: ClassVar[Gate]

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Report a step."""
        self.gate.step(len(batch))


def train(corpus: str, recipe: Recipe, more: Mapping[str, object], gate: Gate) -> None:
    """Train for its speed until it is stopped, as `lightning-clf fit` does.

    Args:
        corpus: A key of ``RECIPES``.
        recipe: The peer's recipe.
        more: Further keys.
        gate: Passed after every step.
    """
    StepGate.gate = gate
    train_by(corpus, recipe, "_ours.StepGate", more)


def train_by(corpus: str, recipe: Recipe, callback: str, more: Mapping[str, object]) -> None:
    """Train as `lightning-clf fit` does, without validation, for as long as a callback wants.

    Args:
        corpus: A key of ``RECIPES``.
        recipe: The peer's recipe.
        callback: The name of its class.
        more: Further keys.
    """
    options = {
        **_options(corpus, recipe),
        "data.init_args.source": json.dumps({"train": str(file(corpus, "train")), "val": str(file(corpus, "test"))}),
        "trainer.max_epochs": 1000,
        "trainer.limit_val_batches": 0,
        "trainer.callbacks": callback,
        **more,
    }
    with tempfile.TemporaryDirectory() as scratch:
        _fit(CONFIGS[corpus], 0, options, Path(scratch, "run"), Path(scratch, "cache"))


def _run(corpus: str, seed: int, options: Mapping[str, object], checkpoint: str) -> dict[str, float]:
    metrics = fit_and_score(CONFIGS[corpus], seed, options, checkpoint)
    return {name: value for name, value in metrics.items() if name.count("/") <= 1}


def fit_and_score(
    config: str, seed: int, options: Mapping[str, object], checkpoint: str, folder: Path | None = None
) -> dict[str, float]:
    """Fits by a configuration, and scores a checkpoint on dev and test.

    Args:
        config: A shipped configuration.
        seed: The seed.
        options: Keys to set; the encoder is all-MiniLM-L6-v2 unless it is one of them.
        checkpoint: `best.ckpt` or `last.ckpt`.
        folder: Where the run is kept; `None` keeps nothing of it.

    Returns:
        Metrics named ``test/…`` and, unless ``trainer.limit_val_batches`` is 0, ``val/…``, those of a class too, and
        ``train_seconds`` and ``cpu_seconds``.
    """
    with tempfile.TemporaryDirectory() as scratch:
        run = folder or Path(scratch) / "run"
        metrics = _fit(config, seed, options, run, Path(scratch, "cache"))
        for command, stage in (("validate", "val"), ("test", "test")):
            if stage == "val" and options.get("trainer.limit_val_batches") == 0:
                continue  # the keys of a fit hold for its checkpoint too: it would see no batch
            succeed([command, f"--ckpt_path={run / checkpoint}"])
            written = json.loads((run / f"{stage}_metrics.json").read_text(encoding="utf-8"))
            metrics |= written
        return metrics


def _fit(config: str, seed: int, options: Mapping[str, object], run: Path, cache: Path) -> dict[str, float]:
    os.environ.setdefault("LIGHTNING_CLF_CACHE", str(cache))
    words = [f"--{key}={value}" for key, value in {"model.init_args.encoder": encoder(), **options}.items()]
    words += [f"--seed_everything={seed}"]
    words += [f"--trainer.default_root_dir={run}", "--trainer.enable_progress_bar=false"]
    watch = Stopwatch()
    succeed(["fit", "--config", config, *words])
    return watch.read()


def succeed(words: list[str]) -> None:
    """Runs the command, which must end well, without its output."""
    with contextlib.redirect_stdout(None):
        code = main(words)
    if code:
        raise RuntimeError(f"lightning-clf {' '.join(words)} ended with {code}")
