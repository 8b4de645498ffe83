"""Our side: the peer's recipe through our command, and our shipped configurations with encoder and source set."""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import Callback, Trainer

from _blocks import Gate
from _corpora import RECIPES, bf16_is_native, encoder, file, folder
from lightning_clf.batch import Batch
from lightning_clf.cli import main

CONFIGS = {
    "sst2": "sst2.yaml",
    "trec": "text.yaml",
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
    return _run(corpus, seed, {**_options(corpus), "data.init_args.source": source}, checkpoint="last.ckpt")


def _options(corpus: str) -> dict[str, object]:
    """The peer's recipe in our keys."""
    numbers = RECIPES[corpus]
    options: dict[str, object] = {
        "model.init_args.learning_rate": numbers.learning_rate,
        "model.init_args.weight_decay": numbers.weight_decay,
        "model.init_args.warmup_ratio": numbers.warmup_ratio,
        "data.init_args.batch_size": numbers.batch_size,
        "data.init_args.max_length": numbers.max_length,
        "trainer.max_epochs": numbers.epochs,
        "trainer.gradient_clip_val": numbers.max_gradient_norm,
        "trainer.precision": _precision(numbers.bf16),
    }
    if corpus in PEER_LOSSES:
        options["model.init_args.loss"] = PEER_LOSSES[corpus]
    return options


def shipped(corpus: str, seed: int) -> dict[str, float]:
    """Runs the shipped configuration with nothing set but encoder and source; the best epoch is chosen on dev."""
    options = {"data.init_args.source": str(folder(corpus)), "trainer.precision": _precision(bf16_is_native())}
    return _run(corpus, seed, options, checkpoint="best.ckpt")


class StepGate(Callback):
    """Passes the gate after every step; given to the command by its name."""

    gate: ClassVar[Gate]

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Report a step."""
        self.gate.step(len(batch))


def train(corpus: str, gate: Gate) -> None:
    """Train for its speed until it is stopped, as `lightning-clf fit` does.

    Args:
        corpus: A key of ``RECIPES``.
        gate: Passed after every step.
    """
    StepGate.gate = gate
    options = {
        **_options(corpus),
        "data.init_args.source": json.dumps({"train": str(file(corpus, "train")), "val": str(file(corpus, "test"))}),
        "trainer.max_epochs": 1000,
        "trainer.limit_val_batches": 0,
        "trainer.callbacks": "_ours.StepGate",
    }
    _run(corpus, 0, options, checkpoint="last.ckpt")


def _precision(bf16: bool) -> str:
    return "bf16-mixed" if bf16 else "32-true"


def _run(corpus: str, seed: int, options: Mapping[str, object], checkpoint: str) -> dict[str, float]:
    """Fits, and scores a checkpoint on dev and test."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        os.environ.setdefault("LIGHTNING_CLF_CACHE", str(Path(scratch) / "cache"))
        words = [f"--{key}={value}" for key, value in options.items()]
        words += [f"--model.init_args.encoder={encoder()}", f"--seed_everything={seed}"]
        words += [f"--trainer.default_root_dir={run}", "--trainer.enable_progress_bar=false"]
        started = time.perf_counter()
        _succeed(["fit", "--config", CONFIGS[corpus], *words])
        seconds = time.perf_counter() - started
        metrics: dict[str, float] = {"train_seconds": seconds}
        for command, stage in (("validate", "val"), ("test", "test")):
            _succeed([command, f"--ckpt_path={run / checkpoint}"])
            written = json.loads((run / f"{stage}_metrics.json").read_text(encoding="utf-8"))
            metrics |= {name: value for name, value in written.items() if name.count("/") == 1}
        return metrics


def _succeed(words: list[str]) -> None:
    with contextlib.redirect_stdout(None):
        code = main(words)
    if code:
        raise RuntimeError(f"lightning-clf {' '.join(words)} ended with {code}")
