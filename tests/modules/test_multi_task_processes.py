"""Two processes and several tasks: every step has the gradients of the sum of the tasks' means over both.

The test runs this file as a script, which starts the second process itself.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from torch.nn import functional

from lightning_clf import MultiTaskClassifier
from tests.processes import run_script
from tests.several_tasks import make_tasks
from tests.training import NO_DROPOUT, make_trainer

WEIGHTS = {"single": 2.0, "tags": 0.5}
MIXING = ("together", "size")


class Gradients(Callback):
    """The rows, gradients and weights of every step, and how many steps moved each parameter."""

    def __init__(self):
        self.rows, self.gradients, self.weights, self.moved = [], [], None, {}

    def on_train_end(self, trainer, pl_module):
        state = trainer.optimizers[0].state
        self.moved = {name: int(state[value]["step"]) for name, value in pl_module.named_parameters()}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.weights = self.weights or {name: value.clone() for name, value in pl_module.state_dict().items()}
        self.rows.append({name: one.example_ids.tolist() for group in batch.groups for name, one in group.items()})

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        found = pl_module.named_parameters()
        self.gradients.append({name: value.grad.clone() for name, value in found if value.grad is not None})


def make(encoder, mixing):
    torch.manual_seed(0)
    module = MultiTaskClassifier(str(encoder), loss_weights=WEIGHTS, learning_rate=1e-30, encoder_options=NO_DROPOUT)
    return module, make_tasks("single", "tags", batch_size=2, options={"mixing": mixing})


@pytest.mark.process
def test_gradients_and_metrics_of_two_processes_are_those_of_one(encoders, tmp_path):
    run_script("tests.modules.test_multi_task_processes", tmp_path, encoders("bert"))

    for mixing in MIXING:
        ranks = [torch.load(tmp_path / f"{mixing}{rank}.pt", weights_only=True) for rank in (0, 1)]
        module, data = make(encoders("bert"), mixing)
        trainer = make_trainer(tmp_path)
        trainer.test(module, data, verbose=False)  # builds it
        module.load_state_dict(ranks[0]["weights"])
        metrics = trainer.test(module, data, verbose=False)
        assert len(ranks[0]["gradients"]) == (2 if mixing == "together" else 4)
        for name, steps in ranks[0]["moved"].items():  # by its own steps alone
            has_task = [
                name.startswith("trunk") or any(f"{task}_task" in name for task in row) for row in ranks[0]["rows"]
            ]
            has_task = has_task if "pooler" not in name else ["single" in row for row in ranks[0]["rows"]]
            assert steps == sum(has_task), name
        for step, gradients in enumerate(ranks[0]["gradients"]):
            both = [rank["rows"][step] for rank in ranks]
            assert both[0].keys() == both[1].keys()
            module.zero_grad()
            for name in both[0]:
                part, rows = module.of_task(name), [row for one in both for row in one[name]]
                batch = next(iter(data.tasks[name].loading.evaluate(*whole(data.tasks[name], rows))))
                scores = module.trunk.whole(part.network).train()(batch)
                loss = functional.cross_entropy(scores.flatten(0, -2), batch.targets.flatten())
                (WEIGHTS[name] * loss).backward()
            for name, parameter in module.named_parameters():
                wanted = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                torch.testing.assert_close(gradients[name], wanted, atol=1e-6, rtol=1e-5, msg=name)
                torch.testing.assert_close(ranks[1]["gradients"][step][name], gradients[name], atol=0, rtol=0)
        for rank in ranks:
            for one, other in zip(rank["metrics"], metrics, strict=True):
                assert one == pytest.approx(other, abs=1e-6, nan_ok=True)


def whole(data, rows):
    """All of some rows of train, in one batch of one process."""
    from lightning_clf.data.loading import Place

    encoded = data.encoded("train")
    data.loading = replace(data.loading, eval_batch_size=len(rows))
    return encoded._replace(rows=encoded.rows.select(rows)), Place()


def run(folder: Path, encoder: Path) -> None:
    for mixing in MIXING:
        module, data = make(encoder, mixing)
        seen = Gradients()
        options = {"devices": 2, "strategy": "ddp", "use_distributed_sampler": False, "limit_val_batches": 0}
        trainer = make_trainer(folder, callbacks=[seen], **options)
        trainer.fit(module, data)
        module.load_state_dict(seen.weights)
        metrics = trainer.test(module, data, verbose=False)
        kept = {
            "moved": seen.moved,
            "rows": seen.rows,
            "gradients": seen.gradients,
            "weights": seen.weights,
            "metrics": metrics,
        }
        torch.save(kept, folder / f"{mixing}{trainer.global_rank}.pt")


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
