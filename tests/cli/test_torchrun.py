"""Two agents of torchrun, as on two machines: a worker that is killed comes back, and the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import SINGLE, write_rows
from tests.processes import free_port

pytestmark = pytest.mark.process


def start(words: list[str]) -> list[subprocess.Popen]:
    """Two agents with a worker each, which meet on loopback."""
    end = f"127.0.0.1:{free_port()}"
    agent = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--max-restarts=2"]
    agent += ["--rdzv-backend=c10d", f"--rdzv-endpoint={end}", "--rdzv-id=fit", "--local-addr=127.0.0.1"]
    # both are on the endpoint's machine: which of them holds the store is said, lest they race for it
    # a store for each attempt: in the agents' own, its keys hold how often an agent's own worker failed, and one agent
    # restarts because its worker failed, the other because the first one's did, so that they would never meet
    own_store = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    environment = os.environ | own_store | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    commands = [[*agent, f"--rdzv-conf=is_host={host}", "-m", "lightning_clf", *words] for host in (1, 0)]
    return [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]


def workers(agent: subprocess.Popen) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()]


def ended(agents: list[subprocess.Popen]) -> None:
    said = [agent.communicate(timeout=300)[1] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], said[0][-2000:] + said[1][-2000:]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the workers in /proc")
def test_a_worker_that_is_killed_comes_back(fit_words, tmp_path):
    source = write_rows(tmp_path / "data", SINGLE * 40)
    options = {"trainer__strategy": "ddp", "trainer__devices": 1, "trainer__num_nodes": 2, "trainer__max_epochs": 2}
    words = fit_words("single", source, **options, data__batch_size=2, model__learning_rate=1e-3)
    words = [word for word in words if not word.startswith("--trainer.default_root_dir")]
    words += ["--checkpoint.save_every_n_steps=10", "--ckpt_path=last"]
    ended(start([*words, f"--trainer.default_root_dir={tmp_path / 'whole'}"]))

    agents = start([*words, f"--trainer.default_root_dir={tmp_path / 'killed'}"])
    last, until = tmp_path / "killed" / "last.ckpt", time.monotonic() + 120
    while not last.is_file() and time.monotonic() < until:
        time.sleep(0.02)
    (worker,) = workers(agents[1])
    os.kill(worker, signal.SIGKILL)
    steps = torch.load(last, weights_only=True)["global_step"]
    ended(agents)
    whole, killed = (torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "killed"))
    assert 0 < steps < whole["global_step"] == killed["global_step"] == 160
    for name, weight in whole["state_dict"].items():
        torch.testing.assert_close(killed["state_dict"][name], weight, atol=1e-6, rtol=1e-6, msg=name)
    scores = [torch.load(tmp_path / name / "best.ckpt", weights_only=True) for name in ("whole", "killed")]
    assert scores[0]["global_step"] == scores[1]["global_step"]
    assert (tmp_path / "killed" / "best" / "model.safetensors").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"data", "whole", "killed"}
