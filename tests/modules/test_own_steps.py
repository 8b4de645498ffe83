"""A user's own steps, which override those of a module: what they count is logged, and nothing else."""

from __future__ import annotations

import warnings

import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers import TensorBoardLogger
from torch.nn import functional

from lightning_clf import MultiTaskClassifier, SingleLabelClassifier
from lightning_clf.callbacks import BestCheckpoint, ClassReport, FigureLogger, TaskEarlyStopping
from lightning_clf.finetuning import FineTuning
from lightning_clf.losses import CrossEntropyLoss
from tests.several_tasks import make_tasks
from tests.training import complaint, make_data, make_trainer


class OwnSteps(SingleLabelClassifier):
    """Steps that call none of this library's."""

    def training_step(self, batch, batch_index):
        return functional.cross_entropy(self(batch), batch.targets)

    def validation_step(self, batch, batch_index):
        self.log("val/own", functional.cross_entropy(self(batch), batch.targets), batch_size=len(batch))

    def test_step(self, batch, batch_index):
        self.log("test/own", functional.cross_entropy(self(batch), batch.targets), batch_size=len(batch))


def test_what_nothing_was_counted_of_is_not_logged(encoders, tmp_path):
    module, data = OwnSteps(str(encoders("bert"))), make_data("single")
    board = TensorBoardLogger(tmp_path, "", "")
    figures = FigureLogger(stages=("train", "val", "test"))
    trainer = make_trainer(tmp_path, callbacks=[ClassReport(), figures], logger=board, log_every_n_steps=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*before the ``update``")
        trainer.fit(module, data)
        assert set(trainer.callback_metrics) == {"val/own"}
        (numbers,) = trainer.test(module, data, verbose=False)
    assert set(numbers) == {"test/own"}
    assert not list(tmp_path.glob("test_*"))


def test_the_stages_that_were_counted_are_logged_as_ever(encoders, tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.fit(OwnTraining(str(encoders("bert"))), make_data("single"))
    names = set(trainer.callback_metrics)
    assert {"val/loss", "val/f1_macro"} <= names
    assert not any(name.startswith("train/") for name in names)


class OwnTraining(SingleLabelClassifier):
    """A step of training that calls none of this library's."""

    training_step = OwnSteps.training_step


def test_a_task_that_no_step_was_of_is_not_logged(encoders, tmp_path):
    module, data = MultiTaskClassifier(str(encoders("bert"))), make_tasks("single", "score")
    trainer = make_trainer(tmp_path, limit_train_batches=1)
    trainer.fit(module, data)
    names = set(trainer.callback_metrics)
    seen = [name for name in data.tasks if f"train/{name}/loss" in names]
    (other,) = set(data.tasks) - set(seen)
    assert not any(name.startswith(f"train/{other}/") for name in names)
    assert "train/mean" not in names
    assert {"val/mean", "val/single/f1_macro", "val/score/spearman"} <= names


@pytest.mark.parametrize("callback", [BestCheckpoint, lambda: TaskEarlyStopping(patience=1)])
def test_a_best_epoch_by_what_was_not_logged_is_refused(callback, encoders, tmp_path):
    trainer = make_trainer(tmp_path, enable_checkpointing=callback is BestCheckpoint, callbacks=[callback()])
    assert complaint(lambda: trainer.fit(OwnSteps(str(encoders("bert"))), make_data("single"))) == (
        "model.monitor 'val/f1_macro' was not logged, since OwnSteps.validation_step counts nothing: have it "
        "call super().validation_step(…), or self.log what model.monitor names"
    )


class OwnOptimizer(SingleLabelClassifier):
    """An optimiser of the user's own."""

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-3)


class Told(CrossEntropyLoss):
    """A loss that keeps what it is told of progress."""

    def advance(self, progress):
        self.progress = [*getattr(self, "progress", []), progress]


def test_with_an_optimizer_of_ones_own_losses_and_policies_know_how_far_training_is(encoders, tmp_path):
    finetuning = FineTuning(unfreeze_over=1.0)
    module = OwnOptimizer(str(encoders("bert")), loss=Told(), finetuning=finetuning)
    moving = []
    trainer = make_trainer(tmp_path, max_epochs=2, callbacks=[LambdaCallback(
        on_train_batch_end=lambda *_: moving.append(sum(one.requires_grad for one in module.parameters()))
    )])  # fmt: skip
    trainer.fit(module, make_data("single"))
    assert module.loss.progress == [0.0, 0.25, 0.5, 0.75]
    assert moving == sorted(moving)
    assert len(set(moving)) > 1  # else all of it moved from the second step on


def test_a_run_without_an_end_is_refused_whatever_the_optimizer(encoders, tmp_path):
    trainer = make_trainer(tmp_path, max_epochs=-1, max_time="00:00:01:00")
    module = OwnOptimizer(str(encoders("bert")))
    assert complaint(lambda: trainer.fit(module, make_data("single"))) == (
        "the schedule needs to know how long training is: set trainer.max_epochs or trainer.max_steps, which "
        "trainer.max_time may cut short"
    )
