"""Two processes and accumulated batches: the gradients are those of one batch of all their sentences.

The test runs this file as a script, which starts the second process itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import LearningRateFinder
from torch.nn import functional

from lightning_clf.cpu import embedding
from tests.modules.test_gradients import UNEVEN, WEIGHTS, Steps, word_scores
from tests.processes import run_script
from tests.training import NO_DROPOUT, make_data, make_module, make_trainer

TWO = {"devices": 2, "strategy": "ddp", "use_distributed_sampler": False}


def make(encoder):
    torch.manual_seed(0)
    weights = dict(zip(("O", "B-LOC", "I-LOC", "B-PER", "I-PER"), WEIGHTS, strict=True))
    return make_module("tags", encoder, class_weights=weights, learning_rate=1e-30, encoder_options=NO_DROPOUT)


@pytest.mark.process
@pytest.mark.parametrize(("accumulated", "steps"), [(1, 3), (2, 2)])
@pytest.mark.parametrize("shared_rows", [False, True])
def test_gradients_of_two_processes_are_those_of_one(accumulated, steps, shared_rows, encoders, tmp_path):
    run_script("tests.modules.test_processes", tmp_path, encoders("bert"), accumulated, int(shared_rows))

    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert sorted(row for rank in ranks for step in rank["rows"] for row in step) == list(range(10))
    module, data = make(encoders("bert")), make_data("tags", UNEVEN, batch_size=1, eval_batch_size=1)
    make_trainer(tmp_path).test(module, data, verbose=False)  # builds it
    module.load_state_dict(ranks[0]["weights"])
    single = {int(batch.example_ids): batch for batch in data.test_dataloader()}
    assert len(ranks[0]["gradients"]) == steps
    for step, gradients in enumerate(ranks[0]["gradients"]):
        batches = [single[row] for rank in ranks for row in rank["rows"][step]]
        module.zero_grad()
        functional.cross_entropy(*word_scores(module, batches), weight=torch.tensor(WEIGHTS)).backward()
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-6, rtol=1e-5, msg=name)
            torch.testing.assert_close(ranks[1]["gradients"][step][name], gradients[name], atol=0, rtol=0)


@pytest.mark.process
def test_a_search_for_the_learning_rate_leaves_processes_at_one(encoders, tmp_path):
    run_script("tests.modules.test_processes", tmp_path, encoders("bert"))
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys()
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, atol=0, rtol=0, msg=name)


def search(folder: Path, encoder: Path) -> None:
    module = make(encoder)
    finder = LearningRateFinder(num_training_steps=3, min_lr=1e-4, max_lr=1e-3)
    trainer = make_trainer(folder, callbacks=[finder], gradient_clip_val=0.1, **TWO)
    trainer.fit(module, make_data("tags", UNEVEN, batch_size=2))
    assert trainer.global_step == 3
    torch.save(module.state_dict(), folder / f"rank{trainer.global_rank}.pt")


def run(folder: Path, encoder: Path, accumulated: int) -> None:
    steps, module = Steps(), make(encoder)
    trainer = make_trainer(folder, callbacks=[steps], accumulate_grad_batches=accumulated, **TWO)
    trainer.fit(module, make_data("tags", UNEVEN, batch_size=2))
    content = {
        "rows": [[row for batch in batches for row in batch.example_ids.tolist()] for batches, _ in steps.steps],
        "gradients": [gradients for _, gradients in steps.steps],
        "weights": module.state_dict(),
    }
    torch.save(content, folder / f"rank{trainer.global_rank}.pt")


if __name__ == "__main__":
    paths, numbers = map(Path, sys.argv[1:3]), [*map(int, sys.argv[3:])]
    if numbers:
        embedding._LARGE = 1 if numbers[1] else embedding._LARGE
        run(*paths, numbers[0])
    else:
        embedding._LARGE = 1
        search(*paths)
