"""Two processes draw once, and of what one process counts.

The test runs this file as a script, which starts the second process itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_clf.callbacks import FigureLogger
from lightning_clf.metrics import CurveCounts
from tests.processes import run_script
from tests.training import ROWS, make_data, make_module, make_trainer


def score_test(folder: Path, encoder: Path, **options: object) -> None:
    torch.manual_seed(0)
    logger = TensorBoardLogger(folder, "", "")
    trainer = make_trainer(folder, logger=logger, callbacks=[FigureLogger()], use_distributed_sampler=False, **options)
    module = make_module("single", encoder)
    trainer.test(module, make_data("single", ROWS["single"][:7]), verbose=False)  # uneven shares
    metrics = module.stage_scores("test").metrics
    counts = [*metrics.summary_of(CurveCounts), metrics.confusion()]
    torch.save(counts, folder / f"rank{trainer.global_rank}.pt")


@pytest.mark.process
def test_two_processes_draw_what_one_would(encoders, tmp_path):
    two, one = tmp_path / "two", tmp_path / "one"
    for folder in (two, one):
        folder.mkdir()
    run_script("tests.callbacks.test_figure_logger_processes", two, encoders("bert"), timeout=150)
    score_test(one, encoders("bert"))
    wanted = torch.load(one / "rank0.pt", weights_only=True)
    for rank in (0, 1):
        for mine, whole in zip(torch.load(two / f"rank{rank}.pt", weights_only=True), wanted, strict=True):
            torch.testing.assert_close(mine, whole, atol=1e-6, rtol=0, equal_nan=True)
    pictures = []
    for folder in (one, two):
        (file,) = folder.rglob("events.out.tfevents.*")  # and not one a process
        found = EventAccumulator(str(file), size_guidance={"images": 0}).Reload()
        names = ("confusion", "class_scores", "precision_recall", "reliability")
        assert set(found.Tags()["images"]) == {f"test/{name}" for name in names}
        pictures.append([len(found.Images(name)) for name in sorted(found.Tags()["images"])])
    assert pictures == [[1] * 4] * 2


if __name__ == "__main__":
    score_test(Path(sys.argv[1]), Path(sys.argv[2]), devices=2, strategy="ddp")
