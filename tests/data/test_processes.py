"""Two processes under a real Trainer: the first one prepares, both read, and each example is evaluated once.

The test runs this file as a script, which starts the second process itself.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.processes import run_script


@pytest.mark.process
@pytest.mark.parametrize("sharded_by_lightning", [True, False])
def test_two_processes(tmp_path: Path, cache_dir: Path, sharded_by_lightning: bool) -> None:
    seen = in_two_processes(tmp_path, sharded_by_lightning)
    for stage, count in (("val", 11), ("test", 7)):
        assert sorted(row for rank in seen for batch in rank[stage] for row in batch) == list(range(count))
    train = [[row for batch in rank["train"] for row in batch] for rank in seen]
    assert len(train[0]) == len(train[1]) == 11
    assert set(train[0]) | set(train[1]) == set(range(21))
    assert len(list(cache_dir.iterdir())) == 3


@pytest.mark.process
def test_two_processes_share_what_a_sampling_draws(tmp_path: Path, cache_dir: Path) -> None:
    seen = in_two_processes(tmp_path, False, sampled=True)
    train = [[row for batch in rank["train"] for row in batch] for rank in seen]
    # every second of 21 rows is "good" and seen thrice: 41 in all, and one is repeated to make them even
    assert len(train[0]) == len(train[1]) == 21
    counts = Counter(train[0] + train[1])
    assert set(counts) == set(range(21))
    assert sum(counts.values()) == 42
    assert sorted(count - (3 if row % 2 else 1) for row, count in counts.items()) == [0] * 20 + [1]


def in_two_processes(tmp_path: Path, sharded_by_lightning: bool, sampled: bool = False) -> list[dict[str, Any]]:
    """Fit and test in two processes; which rows each saw, by stage and batch."""
    run_script("tests.data.test_processes", tmp_path, int(sharded_by_lightning), int(sampled))
    return [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def run(folder: Path, sharded_by_lightning: bool, sampled: bool) -> None:
    from lightning_clf.data import OverSampling, SequenceDataModule
    from tests.data.conftest import texts
    from tests.data.test_training import Recorder, trainer

    module = Recorder()
    splits = {"train": texts(21), "dev": texts(11), "test": texts(7)}
    sampling = OverSampling(factors={"good": 3.0}) if sampled else None
    datamodule = SequenceDataModule(splits, batch_size=2, sampling=sampling)
    options = {"devices": 2, "strategy": "ddp", "use_distributed_sampler": sharded_by_lightning}
    two = trainer(max_epochs=1, **options)
    two.fit(module, datamodule=datamodule)
    two.test(module, datamodule=datamodule, verbose=False)
    (folder / f"rank{two.global_rank}.json").write_text(json.dumps(module.seen))


if __name__ == "__main__":
    run(Path(sys.argv[1]), *(bool(int(word)) for word in sys.argv[2:]))
