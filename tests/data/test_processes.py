"""Two processes under a real Trainer: the first one prepares, both read, and each example is evaluated once.

The test runs this file as a script, which starts the second process itself.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.process
@pytest.mark.parametrize("sharded_by_lightning", [True, False])
def test_two_processes(tmp_path: Path, cache_dir: Path, sharded_by_lightning: bool) -> None:
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-m", "tests.data.test_processes", str(tmp_path), str(int(sharded_by_lightning))]
    environment = {**os.environ, **address}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    for stage, count in (("val", 11), ("test", 7)):
        assert sorted(row for rank in seen for batch in rank[stage] for row in batch) == list(range(count))
    train = [[row for batch in rank["train"] for row in batch] for rank in seen]
    assert len(train[0]) == len(train[1]) == 11
    assert set(train[0]) | set(train[1]) == set(range(21))
    assert len(list(cache_dir.iterdir())) == 3


def run(folder: Path, sharded_by_lightning: bool) -> None:
    from lightning_clf.data import SequenceDataModule
    from tests.data.conftest import texts
    from tests.data.test_training import Recorder, trainer

    module = Recorder()
    datamodule = SequenceDataModule({"train": texts(21), "dev": texts(11), "test": texts(7)}, batch_size=2)
    options = {"devices": 2, "strategy": "ddp", "use_distributed_sampler": sharded_by_lightning}
    two = trainer(max_epochs=1, **options)
    two.fit(module, datamodule=datamodule)
    two.test(module, datamodule=datamodule, verbose=False)
    (folder / f"rank{two.global_rank}.json").write_text(json.dumps(module.seen))


if __name__ == "__main__":
    run(Path(sys.argv[1]), bool(int(sys.argv[2])))
