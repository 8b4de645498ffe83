"""A run that is killed, at whatever moment, goes on from what it left and ends as if it had not been.

This file is also run as a script, which imports everything once and forks a process for each run: a run of two seconds
would otherwise wait ten for its imports.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.cli.conftest import SINGLE, write_rows

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[2]
MOMENTS = 14  # drawn at random, beside those named below


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_batch(number: int, hook: str) -> None:
    """Killed in the call of this number of a module's hook."""
    from lightning_clf.modules import ClassifierModule

    calls = 0
    original = getattr(ClassifierModule, hook)

    def counting(self, *arguments, **options):
        nonlocal calls
        calls += 1
        if calls == number:
            kill()
        return original(self, *arguments, **options)

    setattr(ClassifierModule, hook, counting)


def in_a_file(number: int) -> None:
    """Killed when half of the checkpoint of this number is written."""
    calls = 0
    original = torch.save

    def half(checkpoint, file, *arguments, **options):
        nonlocal calls
        calls += 1
        if calls == number:
            file.write(b"PK" * 5000)
            file.flush()
            kill()
        return original(checkpoint, file, *arguments, **options)

    torch.save = half


def before_a_name(number: int) -> None:
    """Killed when a file is whole, but has not its final name yet."""
    calls = 0
    original = Path.replace

    def never(self, target):
        nonlocal calls
        calls += 1
        if calls == number:
            kill()
        return original(self, target)

    Path.replace = never


# 3 epochs of 8 batches, a validation before them and after each
NAMED = {
    "first step": lambda: in_a_batch(1, "training_step"),
    "in a step": lambda: in_a_batch(12, "on_before_optimizer_step"),
    "last batch of an epoch": lambda: in_a_batch(16, "training_step"),
    "before a validation": lambda: in_a_batch(3, "on_validation_epoch_start"),
    "in a validation": lambda: in_a_batch(6, "validation_step"),
    "after a validation": lambda: in_a_batch(3, "on_validation_epoch_end"),
    "in a checkpoint": lambda: in_a_file(4),
    "in the last checkpoint": lambda: in_a_file(11),
    "between file and name": lambda: before_a_name(6),
}


def forked(words: list[str], prepare: Callable[[], None] | None = None, seconds: float | None = None) -> int:
    """Run the command in a process of its own, killed after so many seconds; its exit code, negative if killed."""
    child = os.fork()
    if child == 0:
        from lightning_clf.cli import main

        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere):
            if prepare:
                prepare()
            os._exit(main(words))
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def state(run: Path) -> dict:
    """What a run came to: the weights it ended with, those of the best epoch and its score, and the export."""
    found = {}
    for name in ("last.ckpt", "best.ckpt"):
        checkpoint = torch.load(run / name, weights_only=True)
        found |= {f"{name} {key}": value for key, value in checkpoint["state_dict"].items()}
        found[name] = checkpoint["global_step"]
        best = checkpoint["callbacks"]["BestCheckpoint"]
        found[f"{name} best"] = best["best_model_score"]
    return found | load_file(run / "best" / "model.safetensors")


def differences(one: dict, other: dict) -> list[str]:
    return [key for key in {*one, *other} if not _same(one.get(key), other.get(key))]


def _same(one, other) -> bool:
    return torch.equal(one, other) if torch.is_tensor(one) and torch.is_tensor(other) else one == other


def drive(folder: Path, words: list[str]) -> None:
    """Kill a run at every moment; print what came of each as a JSON line."""
    import lightning_clf.cli.training  # noqa: F401  # imported before the first fork

    def fit(run: Path, *more: str) -> list[str]:
        return [*words, f"--trainer.default_root_dir={run}", *more]

    forked(fit(folder / "warm"))
    started = time.monotonic()
    assert forked(fit(folder / "whole")) == 0
    long = time.monotonic() - started
    whole = state(folder / "whole")
    moments = random.Random(0).choices(range(5, 95), k=MOMENTS)
    kills = {name: (prepare, None) for name, prepare in NAMED.items()}
    kills |= {f"{moment} % {index}": (None, long * moment / 100) for index, moment in enumerate(moments)}
    for name, (prepare, seconds) in kills.items():
        run = folder / name.replace(" ", "_").replace("%", "")
        code = forked(fit(run), prepare, seconds)
        found = sorted(path.name for path in run.glob("*.ckpt")) if run.is_dir() else []
        for path in found:
            torch.load(run / path, weights_only=True)
        again = forked(fit(run))
        said = {"moment": name, "code": code, "found": found, "again": again}
        print(json.dumps(said | {"differ": differences(whole, state(run))}), flush=True)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_that_is_killed(precision, fit_words, tmp_path):
    source = write_rows(tmp_path / "data", SINGLE * 4)
    words = fit_words("single", source, trainer__max_epochs=3, trainer__precision=precision, model__learning_rate=1e-3)
    words = [word for word in words if not word.startswith("--trainer.default_root_dir")]
    words += ["--checkpoint.save_every_n_steps=2", "--trainer.logger=false", "--ckpt_path=last"]
    command = [sys.executable, "-m", "tests.cli.test_kills", str(tmp_path / "runs"), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(results) == len(NAMED) + MOMENTS
    assert [result for result in results if result["differ"]] == []
    assert {result["again"] for result in results} == {0}
    killed = {result["moment"] for result in results if result["code"] == -signal.SIGKILL}
    assert killed >= NAMED.keys()
    found = {result["moment"]: result["found"] for result in results}
    assert found["first step"] == []
    assert found["in a step"] == ["best.ckpt", "last.ckpt"]


if __name__ == "__main__":
    drive(Path(sys.argv[1]), sys.argv[2:])
