"""The command in two processes: one run folder, one error."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cli.conftest import SINGLE, write_rows

pytestmark = pytest.mark.process


@pytest.fixture
def in_two_processes(fit_words):
    """Fit on a folder in two processes."""

    def run(source) -> subprocess.CompletedProcess[str]:
        words = fit_words("single", source, trainer__strategy="ddp", trainer__devices=2)
        environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "lightning_clf", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)

    return run


def test_two_processes_write_one_run_folder(command, in_two_processes, tmp_path):
    run = in_two_processes(write_rows(tmp_path / "data", SINGLE))
    assert run.returncode == 0, run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data", "run"}
    alone = ["--trainer.strategy", "auto", "--trainer.devices", 1]
    assert command("test", "--ckpt_path", tmp_path / "run" / "best.ckpt", *alone).code == 0
    rows = json.loads((tmp_path / "run" / "test_classes.json").read_text())
    assert [row["support"] for row in rows] == [4, 4]


def test_bad_rows_end_both_processes(in_two_processes, tmp_path):
    run = in_two_processes(write_rows(tmp_path / "data", [*SINGLE, {"text": "a"}]))
    assert run.returncode == 2, run.stderr
    assert "train.jsonl line 9 has no column 'label'" in run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data"}
