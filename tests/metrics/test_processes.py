"""Two processes with uneven shares of the data count what one process counts.

The test runs this file twice as a script: each run is one process.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import CurveCounts, MetricSet, ScoreCounts, build_metrics
from lightning_clf.prediction import Prediction

TAGS = LabelSpace.tags(["PER", "LOC", "ORG"], "IOB2")
SINGLE = LabelSpace.of("abc", "single")
MULTI = LabelSpace.of("abc", "multi")
SCORE = LabelSpace.score(0, 1)
GROUPED = LabelSpace.of("ab", "single")
Data = list[tuple[Any, ...]]  # what a metric set is updated with


def batches(labels: LabelSpace) -> Data:
    """Four batches of different sizes: random answers, some of them right."""
    generator = torch.Generator().manual_seed(4)
    data: Data = []
    for size in (17, 5, 30, 11):
        probabilities, gold = torch.rand(2, size, 3, generator=generator)
        match labels.kind:
            case "tags":
                words = 4 + size % 5  # another width in every batch
                targets = torch.randint(0, len(labels), (size, words), generator=generator)
                noise = torch.randint(0, len(labels), (size, words), generator=generator)
                guess = targets.where(torch.rand(size, words, generator=generator) < 0.8, noise)
                targets[torch.arange(words) >= torch.randint(1, words + 1, (size, 1), generator=generator)] = IGNORE
                data.append((Prediction(guess), targets))
            case "single" if labels is GROUPED:
                groups = torch.randint(0, 9, (size,), generator=generator)
                shares = probabilities[:, :2].softmax(1)
                data.append((Prediction(shares.argmax(1), shares), (gold[:, 0] > 0.8).long(), groups))
            case "single":
                targets = gold.argmax(1)
                targets[0] = IGNORE
                data.append((Prediction(probabilities.argmax(1), probabilities.softmax(1)), targets))
            case "multi":
                data.append((Prediction((probabilities > 0.5).long(), probabilities), (gold > 0.6).float()))
            case "score":
                data.append((Prediction(scores=probabilities[:, 0]), probabilities[:, 1]))
    return data


def cases() -> list[tuple[LabelSpace, Data, int]]:
    """Label spaces, their batches, and how many of these go to the first process; the second may see none."""
    uneven = [(labels, batches(labels), share) for labels in (TAGS, SINGLE, MULTI, SCORE, GROUPED) for share in (3, 4)]
    return [*uneven, (SINGLE, [], 0), (SCORE, [], 0)]


def scored(labels: LabelSpace, data: Data) -> MetricSet:
    """A metric set after some batches."""
    metrics = build_metrics(labels)
    metrics.include(ScoreCounts(labels) if labels.kind == "score" else CurveCounts(labels))
    for batch in data:
        metrics.update(*batch)
    return metrics


def drawn(metrics: MetricSet) -> list[Tensor]:
    """What figures are drawn of."""
    return [*(metrics.summary_of(CurveCounts) or metrics.summary_of(ScoreCounts) or ())]


def work(rank: int, folder: Path) -> None:
    """Score one process's share of each case, and write down what it takes the numbers of the whole to be."""
    distributed.init_process_group("gloo", rank=rank, world_size=2, timeout=timedelta(seconds=60))
    sets = [scored(labels, data[:share] if rank == 0 else data[share:]) for labels, data, share in cases()]
    values = [metrics.compute() for metrics in sets]
    distributed.destroy_process_group()
    # the report is read when the other process may be gone
    results = [
        (v, [tuple(row) for row in m.per_class()], m.confusion(), drawn(m)) for v, m in zip(values, sets, strict=True)
    ]
    torch.save(results, folder / f"{rank}.pt")


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_two_processes_equal_one(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }
    commands = [[sys.executable, "-W", "ignore", __file__, str(rank), str(tmp_path)] for rank in (0, 1)]
    processes = [subprocess.Popen(command, env=environment) for command in commands]
    try:
        assert [process.wait(timeout=100) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()

    for rank in (0, 1):
        results = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for (labels, data, _), (values, rows, confusion, counted) in zip(cases(), results, strict=True):
            alone = scored(labels, data)
            expected = {name: value.item() for name, value in alone.compute().items()}
            assert {name: value.item() for name, value in values.items()} == pytest.approx(
                expected, abs=1e-12, nan_ok=True
            )
            assert rows == [tuple(row) for row in alone.per_class()]
            table = alone.confusion()
            assert bool(counted) == bool(data and labels is not TAGS)
            for mine, whole in zip(counted, drawn(alone), strict=True):
                torch.testing.assert_close(mine, whole, atol=0, rtol=0, equal_nan=True)
            assert confusion is None if table is None else torch.equal(confusion, table)


if __name__ == "__main__":
    work(int(sys.argv[1]), Path(sys.argv[2]))
