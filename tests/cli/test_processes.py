"""The command as processes: two write one run folder and say one error, and one that is stopped goes on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

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
    assert "warning" not in run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data", "run"}
    alone = ["--trainer.strategy", "auto", "--trainer.devices", 1]
    assert command("test", "--ckpt_path", tmp_path / "run" / "best.ckpt", *alone).code == 0
    rows = json.loads((tmp_path / "run" / "test_classes.json").read_text())
    assert [row["support"] for row in rows] == [4, 4]


def test_bad_rows_end_both_processes(in_two_processes, tmp_path):
    run = in_two_processes(write_rows(tmp_path / "data", [*SINGLE, {"text": "a"}]))
    assert run.returncode == 2, run.stderr
    assert "train.jsonl line 9 has no column 'label'" in run.stderr
    assert run.stderr.count("error:") == 1
    assert "Traceback" not in run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_process_without_a_row_takes_part(in_two_processes, tmp_path):
    run = in_two_processes(write_rows(tmp_path / "data", {"train": SINGLE, "dev": SINGLE[:1], "test": SINGLE[:3]}))
    assert run.returncode == 0, run.stderr
    with (tmp_path / "run" / "metrics.csv").open() as file:
        accuracies = {row["val/accuracy"] for row in csv.DictReader(file)} - {""}
    assert accuracies <= {"0.0", "1.0"}  # of the one row
    assert accuracies


def test_a_run_that_a_scheduler_stops_goes_on_as_if_it_had_not(command, fit_words, tmp_path):
    source = write_rows(tmp_path / "data", SINGLE * 200)
    long = {"trainer__max_epochs": 2, "data__batch_size": 2, "model__learning_rate": 1e-3}
    root = {"trainer__default_root_dir": tmp_path / "whole"}
    assert command(*fit_words("single", source, **long, **root)).code == 0
    words = fit_words("single", source, **long, trainer__enable_progress_bar="true")
    process = subprocess.Popen([sys.executable, "-m", "lightning_clf", *words], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    csv = tmp_path / "run" / "metrics.csv"
    while not (csv.is_file() and csv.stat().st_size) and time.monotonic() < until:
        time.sleep(0.05)  # a step was logged
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 143
    assert "stopped by SIGTERM; to go on: lightning-clf fit --ckpt_path" in process.stderr.read()
    stopped = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert 0 < stopped["global_step"] < 1600
    again = command(*fit_words("single", source, **long), "--ckpt_path", tmp_path / "run" / "last.ckpt")
    assert again.code == 0, again.err
    whole, rest = (torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "run"))
    assert whole["global_step"] == rest["global_step"] == 1600
    assert all(torch.equal(whole["state_dict"][name], rest["state_dict"][name]) for name in whole["state_dict"])
