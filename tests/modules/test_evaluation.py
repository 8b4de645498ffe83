"""One, two or three processes evaluate to the same integer counts, whatever the number of rows.

The test runs this file as a script for each number of processes; it starts the others itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from tests.processes import run_script
from tests.training import ROWS, make_data, make_module, make_trainer

KINDS = ("single", "multi", "tags", "score")
SIZES = (11, 2)  # no multiple of two or three; and one that leaves a third process without a row
RANKED = ("auroc", "average_precision", "ece", "loss", "pearson", "spearman", "mse")  # of floats, not of counts


@pytest.mark.process
def test_counts_do_not_depend_on_the_number_of_processes(encoders, tmp_path):
    for kind in KINDS:
        torch.save(built(kind, encoders("bert")).state_dict(), tmp_path / f"{kind}.pt")
    for count in (1, 2, 3):
        run_script("tests.modules.test_evaluation", tmp_path, encoders("bert"), count, timeout=300)
    alone = torch.load(tmp_path / "1.pt", weights_only=True)
    assert set(alone) == {f"{kind} {size}" for kind in KINDS for size in SIZES}
    for count in (2, 3):
        shared = torch.load(tmp_path / f"{count}.pt", weights_only=True)
        for case, (numbers, rows, confusion) in alone.items():
            assert shared[case][1] == rows, case
            assert torch.equal(shared[case][2], confusion), case
            for name, number in numbers.items():
                # sums of floats, in another order
                wanted = pytest.approx(number, abs=1e-6 if name in RANKED else 0, nan_ok=True)
                assert shared[case][0][name] == wanted, (case, name)
    assert sum(row[-1] for row in alone["single 11"][1]) == 11


def built(kind, encoder):
    module = make_module(kind, encoder, labels=make_data(kind).labels.to_dict())
    module.build()
    return module


def evaluate(folder: Path, encoder: Path, processes: int) -> None:
    found = {}
    several = {"devices": processes, "strategy": "ddp", "use_distributed_sampler": False} if processes > 1 else {}
    for kind in KINDS:
        for size in SIZES:
            rows = (ROWS[kind] * 2)[:size]
            module = built(kind, encoder)
            module.load_state_dict(torch.load(folder / f"{kind}.pt", weights_only=True))
            trainer = make_trainer(folder, precision="64-true", **several)
            # labels of all rows, whatever part of them is evaluated
            data = make_data(kind, batch_size=4, source={"train": ROWS[kind], "val": rows, "test": rows})
            trainer.test(module, data, verbose=False)
            metrics = module.stage_scores("test").metrics
            numbers = {name: value.item() for name, value in module.stage_scores("test").compute().items()}
            confusion = metrics.confusion()
            table = torch.zeros(0) if confusion is None else confusion
            found[f"{kind} {size}"] = (numbers, [tuple(row) for row in metrics.per_class()], table)
            rank = trainer.global_rank
    if rank == 0:
        torch.save(found, folder / f"{processes}.pt")


if __name__ == "__main__":
    evaluate(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
