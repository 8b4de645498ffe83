"""Figures in an MLflow server of the test's own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from lightning.pytorch.loggers import MLFlowLogger
from PIL import Image

from lightning_clf.callbacks import FigureLogger
from tests.training import make_data, make_module, make_trainer


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of a server on this machine alone, whose files are the test's."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "true")
    folder = tmp_path / "server"
    folder.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'runs.db'}", "--artifacts-destination", str(folder)]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its workers too
        process.wait()


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


@pytest.mark.process
def test_figures_are_artifacts_of_the_run(server, encoders, tmp_path):
    logger = MLFlowLogger(experiment_name="figures", tracking_uri=server)
    trainer = make_trainer(tmp_path, logger=logger, callbacks=[FigureLogger()], max_epochs=2)
    trainer.fit(make_module("single", encoders("bert")), make_data("single"))
    client = logger.experiment
    numbers = [metric.step for metric in client.get_metric_history(logger.run_id, "val/loss")]
    assert numbers == [1, 3]
    folders = {item.path for item in client.list_artifacts(logger.run_id, "figures/val")}
    names = ("confusion", "class_scores", "precision_recall", "reliability")
    assert folders == {f"figures/val/{name}" for name in names}
    for folder in folders:
        found = sorted(item.path for item in client.list_artifacts(logger.run_id, folder))
        assert found == [f"{folder}/{step:07d}.png" for step in numbers]
        for path in found:
            image = Image.open(client.download_artifacts(logger.run_id, path, str(tmp_path)))
            assert image.format == "PNG"
            assert image.width >= 450
