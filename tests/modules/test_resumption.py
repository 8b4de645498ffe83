"""A run that goes on from any of its checkpoints ends as if it had never stopped."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import Callback, seed_everything

from lightning_clf.callbacks import BestCheckpoint
from lightning_clf.data import OverSampling, UnderSampling
from tests.training import ROWS, complaint, make_data, make_module, make_trainer

EPOCHS = 3


class Batches(Callback):
    """Which rows were trained on, and a checkpoint after each batch."""

    def __init__(self, folder=None):
        self.seen, self.folder = [], folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen.append((trainer.current_epoch, batch.example_ids.tolist()))
        if self.folder:
            trainer.save_checkpoint(self.folder / f"step{trainer.global_step}.ckpt")


def fit(encoders, folder, checkpoint=None, save=False, kind="single", seed=0, data=None, model=None, **options):
    """A fit with dropout; the weights and the metrics it ends with, and the batches it saw."""
    seed_everything(seed, verbose=False)
    batches, best = Batches(folder if save else None), BestCheckpoint(export=False)
    options = {"max_epochs": EPOCHS, **options}
    trainer = make_trainer(folder, enable_checkpointing=True, callbacks=[best, batches], **options)
    module = make_module(kind, encoders("bert"), learning_rate=1e-3, **(model or {}))
    trainer.fit(module, make_data(kind, ROWS[kind] * 2, **(data or {})), ckpt_path=checkpoint)
    metrics = {name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    last = torch.load(folder / "last.ckpt", weights_only=True)
    return last["state_dict"], metrics, batches.seen


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.parametrize(
    ("kind", "precision", "data"),
    [
        ("single", "32-true", {}),
        ("tags", "32-true", {}),
        ("single", "bf16-mixed", {}),
        ("single", "32-true", {"batch_tokens": 48}),
        ("single", "32-true", {"sampling": UnderSampling(factors={"bad": 0.5})}),
        ("tags", "32-true", {"sampling": OverSampling(factors={"LOC": 1.5}), "batch_tokens": 48}),
    ],
)
def test_from_every_step(kind, precision, data, encoders, tmp_path):
    options = {"kind": kind, "precision": precision, "data": data}
    weights, metrics, seen = fit(encoders, tmp_path / "whole", save=True, **options)
    assert len(seen) % EPOCHS == 0
    assert len({str(rows) for _, rows in seen}) > len(seen) // EPOCHS  # another order each epoch
    for step in range(1, len(seen)):
        folder = tmp_path / str(step)
        checkpoint = tmp_path / "whole" / f"step{step}.ckpt"
        # another seed: nothing but the checkpoint decides
        rest = fit(encoders, folder, checkpoint, seed=5, **options)
        assert rest[2] == seen[step:], step
        assert_same(rest[0], weights)
        assert rest[1] == metrics


def test_from_the_last_checkpoint_of_an_epoch(encoders, tmp_path):
    _, _, seen = fit(encoders, tmp_path / "whole")
    fit(encoders, tmp_path / "part", max_epochs=1)
    part = torch.load(tmp_path / "part" / "last.ckpt", weights_only=True)
    kept = part["SequenceDataModule"]
    assert {name: rows for name, (rows, _) in kept.pop("rows").items()} == {"train": 16, "val": 16}
    assert kept == {"order": 0, "epoch": 1, "batches": 0}
    _, _, rest = fit(encoders, tmp_path / "part", tmp_path / "part" / "last.ckpt")
    assert rest == [batch for batch in seen if batch[0] > 0]


def test_another_fit_of_the_same_datamodule_begins_at_the_beginning(encoders, tmp_path):
    data, orders = make_data("single"), []
    for _ in range(2):
        batches = Batches()
        make_trainer(tmp_path, callbacks=[batches], max_epochs=2).fit(make_module("single", encoders("bert")), data)
        orders.append(batches.seen)
    assert orders[0] == orders[1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train": ROWS["single"]}, "train: the train split has 8 rows, not the 16 of the fit"),
        ({"train": ROWS["single"][::-1] * 2}, "train: the train split has 16 rows, but not those of the fit"),
        ({"val": ROWS["single"][:4]}, "val: the val split has 4 rows, not the 8 of the fit"),
        ({"val": None}, "train: the train split has 14 rows, not the 16 of the fit"),  # two are held out
        ({"val": [{**row, "label": "bad"} for row in ROWS["single"]]}, "val: the val split has 8 rows, but not those"),
    ],
)
def test_other_rows_are_refused_before_training(changed, said, encoders, tmp_path):
    splits = {"train": ROWS["single"] * 2, "val": ROWS["single"]}
    fit(encoders, tmp_path / "part", data={"source": splits}, max_epochs=1)
    last = tmp_path / "part" / "last.ckpt"
    other = {name: rows for name, rows in (splits | changed).items() if rows is not None}
    message = complaint(lambda: fit(encoders, tmp_path / "part", last, data={"source": other}))
    assert said in message
    assert f"{last} is of: go on with its data, or leave --ckpt_path out and begin a new fit of its weights" in message
    assert torch.load(last, weights_only=True)["global_step"] == 4
    make_trainer(tmp_path).test(make_module("single", encoders("bert")), make_data("single"), ckpt_path=last)
