"""Two processes: what is unfrozen on the way, and adapters, move as one process would move them.

The test runs this file as a script, which starts the second process itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import seed_everything

from lightning_clf.finetuning import FineTuning, LoRA
from tests.modules.test_finetuning import Moved
from tests.processes import run_script
from tests.training import NO_DROPOUT, make_data, make_module, make_trainer

POLICIES = {
    "gradual": (FineTuning(unfreeze_over=0.75, layer_decay=0.9), "ddp_find_unused_parameters_true"),
    "frozen": (FineTuning(freeze_layers=1), "ddp"),
    "lora": (LoRA(rank=2), "ddp"),
}


class Rows(Moved):
    def __init__(self):
        super().__init__()
        self.rows = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.rows.append(batch.example_ids.tolist())


def run(folder, encoder, name, batch_size, **options):
    seed_everything(0, verbose=False)
    policy, callback = POLICIES[name][0], Rows()
    module = make_module("single", encoder, finetuning=policy, encoder_options=NO_DROPOUT, learning_rate=1e-2)
    trainer = make_trainer(folder, callbacks=[callback], max_epochs=2, **options)
    trainer.fit(module, make_data("single", batch_size=batch_size))
    content = {
        "rows": callback.rows,
        "moved": [sorted(step) for step in callback.steps],
        "weights": module.state_dict(),
    }
    torch.save(content, folder / f"rank{trainer.global_rank}.pt")


@pytest.mark.process
@pytest.mark.parametrize("name", POLICIES)
def test_two_processes_move_what_one_moves(name, encoders, tmp_path):
    run_script(__name__, tmp_path, encoders("bert"), name)
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    (tmp_path / "one").mkdir()
    run(tmp_path / "one", encoders("bert"), name, batch_size=4)
    one = torch.load(tmp_path / "one" / "rank0.pt", weights_only=True)
    together = [sorted(first + second) for first, second in zip(*(rank["rows"] for rank in ranks), strict=True)]
    assert together == [sorted(rows) for rows in one["rows"]]
    assert ranks[0]["moved"] == ranks[1]["moved"] == one["moved"]
    for key, tensor in one["weights"].items():
        assert torch.equal(ranks[0]["weights"][key], ranks[1]["weights"][key]), key
        torch.testing.assert_close(ranks[0]["weights"][key], tensor, atol=1e-4, rtol=1e-3, msg=key)


if __name__ == "__main__":
    folder, encoder, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    run(folder, encoder, name, 2, devices=2, strategy=POLICIES[name][1], use_distributed_sampler=False)
