"""Two processes share the pairs of each batch, and have one head: they train what one process trains.

The test runs this file as a script, which starts the second process itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from tests.modules.test_setfit import Batches, SetFitClassifier, few
from tests.processes import run_script
from tests.training import NO_DROPOUT, make_trainer


def run(folder: Path, encoder: str, batch_size: int, **options) -> None:
    batches = Batches()
    trainer = make_trainer(folder, callbacks=[batches], **options)
    module = SetFitClassifier(encoder, learning_rate=1e-3, encoder_options=NO_DROPOUT)
    trainer.fit(module, few(batch_size=batch_size))
    scores = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    content = {"pairs": [pairs for _, pairs in batches.seen], "weights": module.state_dict(), "scores": scores}
    torch.save(content, folder / f"{trainer.world_size}-{trainer.global_rank}.pt")


@pytest.mark.process
def test_two_processes_train_what_one_trains(encoders, tmp_path):
    run_script("tests.modules.test_setfit_processes", tmp_path, encoders("bert"))
    run(tmp_path, str(encoders("bert")), 8)
    one, first, second = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("1-0", "2-0", "2-1"))
    assert len(one["pairs"]) == 6
    for whole, *parts in zip(one["pairs"], first["pairs"], second["pairs"], strict=True):
        assert sorted(whole) == sorted(pair for part in parts for pair in part)
    for name, weight in first["weights"].items():
        assert torch.equal(second["weights"][name], weight), name
        torch.testing.assert_close(weight, one["weights"][name], atol=1e-4, rtol=1e-3, msg=name)
    wanted = pytest.approx(one["scores"], abs=1e-4, nan_ok=True)  # of a dev split of one row
    assert first["scores"] == wanted
    assert second["scores"] == wanted


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], 4, devices=2, strategy="ddp", use_distributed_sampler=False)
