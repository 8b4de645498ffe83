"""The best epoch is what a fit keeps, exports and ends with; the last one is what it goes on from."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from lightning_clf import InputError, SingleLabelClassifier
from lightning_clf.artefact import load_artefact
from lightning_clf.callbacks import BestCheckpoint
from lightning_clf.callbacks.best import readers
from lightning_clf.heads import LinearHead
from lightning_clf.modules import ClassifierModule
from tests.training import complaint, make_data, make_module, make_trainer


class Judged(SingleLabelClassifier):
    """A classifier whose validations, one every so many steps, come out as told."""

    def __init__(self, encoder, numbers, steps=2, **options):
        super().__init__(encoder, monitor="val/told", learning_rate=1e-3, **options)
        self.numbers, self.steps = numbers, steps

    def on_validation_epoch_end(self):
        super().on_validation_epoch_end()
        place = self.trainer.global_step // self.steps - 1
        self.log("val/told", 9.0 if self.trainer.sanity_checking else self.numbers[place])


class Weights(Callback):
    """The weights at the end of each validation."""

    def __init__(self):
        self.seen = []
        self.batches = 0

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.seen.append({name: value.clone() for name, value in pl_module.state_dict().items()})

    def on_train_batch_start(self, *arguments):
        self.batches += 1


def fit(folder: Path, encoder, numbers, *, checkpoint=None, steps=2, callback=None, **options):
    """Fit epochs of two batches; returns the module, the callback and the weights after each validation."""
    best, weights = callback or BestCheckpoint(**options.pop("best", {})), Weights()
    options = {"max_epochs": len(numbers), **options}
    trainer = make_trainer(folder, enable_checkpointing=True, callbacks=[best, weights], **options)
    module = (
        Judged(str(encoder), numbers, steps)
        if checkpoint is None
        else Judged.load_from_checkpoint(str(checkpoint), numbers=numbers)
    )
    trainer.fit(module, make_data("single"), ckpt_path=checkpoint)
    return module, best, weights.seen


def same(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in other)


def exported(folder: Path):
    return {f"network.{name}": value for name, value in load_artefact(folder).network.state_dict().items()}


def stored(path: Path):
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.mark.parametrize(("numbers", "mode", "best_epoch"), [
    ([0.5, 0.9, 0.2], "max", 1), ([0.9, 0.5, 0.7], "max", 0), ([0.1, 0.5, 0.7], "max", 2), ([0.4, 0.2, 0.3], "min", 1),
    ([0.5, 0.5, 0.5], "max", 0), ([float("nan"), 0.1, 0.1], "max", 1),
    ([float("nan"), 0.2, float("nan")], "min", 1),
])  # fmt: skip
def test_the_best_epoch_is_kept_exported_and_restored(numbers, mode, best_epoch, encoders, tmp_path):
    module, best, seen = fit(tmp_path, encoders("bert"), numbers, best={"mode": mode})
    assert not same(seen[0], seen[1])
    assert not same(seen[1], seen[2])
    assert same(stored(tmp_path / "best.ckpt"), seen[best_epoch])
    assert same(module.state_dict(), seen[best_epoch])
    export = exported(tmp_path / "best")
    assert all(torch.equal(export[name], seen[best_epoch][name]) for name in export)
    assert same(stored(tmp_path / "last.ckpt"), seen[2])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "best.ckpt", "last.ckpt"]
    assert best.best_model_score.item() == pytest.approx(numbers[best_epoch])


def test_where_no_epoch_has_a_number_the_last_is_kept(encoders, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr("lightning_clf.callbacks.best.rank_zero_info", lines.append)
    module, best, seen = fit(tmp_path, encoders("bert"), [float("nan")] * 2)
    for weights in (stored(tmp_path / "best.ckpt"), module.state_dict()):
        assert same(weights, seen[1])
    export = exported(tmp_path / "best")
    assert all(torch.equal(export[name], seen[1][name]) for name in export)
    assert lines == [
        "best: none, as val/told was undefined in every validation; the last, in epoch 1, is kept in "
        f"{best.best_model_path} and exported to {tmp_path / 'best'}"
    ]


def test_a_validation_within_an_epoch_counts(encoders, tmp_path):
    numbers = [0.5, 0.2, 0.9, 0.3]
    module, _, seen = fit(tmp_path, encoders("bert"), numbers, steps=1, max_epochs=2, val_check_interval=0.5)
    assert len(seen) == 4
    for weights in (stored(tmp_path / "best.ckpt"), module.state_dict()):
        assert same(weights, seen[2])
    export = exported(tmp_path / "best")
    assert all(torch.equal(export[name], seen[2][name]) for name in export)
    assert same(stored(tmp_path / "last.ckpt"), seen[3])


def test_a_fit_that_goes_on_keeps_the_best_of_before(encoders, tmp_path):
    _, _, before = fit(tmp_path, encoders("bert"), [0.9, 0.2])
    module, best, seen = fit(
        tmp_path, None, [0.9, 0.2, 0.3, 0.4], checkpoint=tmp_path / "last.ckpt", num_sanity_val_steps=0
    )
    assert len(seen) == 2
    assert best.best_model_score.item() == pytest.approx(0.9)
    export = exported(tmp_path / "best")
    for weights in (stored(tmp_path / "best.ckpt"), module.state_dict(), export):
        assert all(torch.equal(weights[name], before[0][name]) for name in export)
    assert same(stored(tmp_path / "last.ckpt"), seen[1])


def test_a_fit_that_goes_on_finds_a_better_one(encoders, tmp_path):
    fit(tmp_path, encoders("bert"), [0.5])
    module, _, seen = fit(tmp_path, None, [0.5, 0.8], checkpoint=tmp_path / "last.ckpt")
    assert same(module.state_dict(), seen[0])
    assert same(stored(tmp_path / "best.ckpt"), seen[0])


def test_without_export_the_best_is_kept_all_the_same(encoders, tmp_path):
    module, _, seen = fit(tmp_path, encoders("bert"), [0.9, 0.2], best={"export": False})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]
    assert same(module.state_dict(), seen[0])


def test_a_misnamed_metric_is_refused_before_training(encoders, tmp_path):
    weights = Weights()
    module = make_module("single", encoders("bert"), monitor="val/f1_makro")
    trainer = make_trainer(tmp_path, enable_checkpointing=True, callbacks=[BestCheckpoint(), weights])
    message = complaint(lambda: trainer.fit(module, make_data("single")))
    assert message.startswith("model.monitor 'val/f1_makro' is not a metric of this task: use one of val/accuracy, ")
    assert "val/f1_macro" in message
    assert "val/f1/good" not in message
    assert weights.batches == 0


def test_a_metric_that_is_better_lower_needs_its_mode(encoders, tmp_path):
    def run(**options):
        module = make_module("single", encoders("bert"), monitor="val/loss")
        make_trainer(tmp_path, enable_checkpointing=True, callbacks=[BestCheckpoint(**options)]).fit(
            module, make_data("single")
        )

    assert complaint(run) == (
        "model.monitor 'val/loss' is the better the lower it is: set BestCheckpoint(mode='min') and "
        "TaskEarlyStopping(mode='min'), or in a configuration checkpoint.mode and early_stopping.mode to min"
    )
    run(mode="min")
    assert (tmp_path / "best.ckpt").is_file()


def test_tags_that_are_no_spans_are_judged_by_accuracy(encoders, tmp_path):
    rows = [{"tokens": ["a", "b"], "tags": ["DT", "NN"]}, {"tokens": ["b", "c"], "tags": ["NN", "VB"]}]
    best = BestCheckpoint()
    module = make_module("tags", encoders("bert"))
    make_trainer(tmp_path, enable_checkpointing=True, callbacks=[best]).fit(module, make_data("tags", rows))
    assert best.monitor == module.monitor == "val/accuracy"
    again = BestCheckpoint()  # a checkpoint's state is found though the metric is not yet known
    trainer = make_trainer(tmp_path, enable_checkpointing=True, callbacks=[again], max_epochs=2)
    trainer.fit(ClassifierModule.load_from_checkpoint(str(tmp_path / "last.ckpt")), make_data("tags", rows),
                ckpt_path=tmp_path / "last.ckpt")  # fmt: skip
    assert again.best_model_score >= best.best_model_score


def test_validate_and_test_write_nothing(encoders, tmp_path):
    trainer = make_trainer(tmp_path, enable_checkpointing=True, callbacks=[BestCheckpoint()])
    module = make_module("single", encoders("bert"), monitor="val/told")  # which nobody logs
    trainer.validate(module, make_data("single"), verbose=False)
    trainer.test(module, make_data("single"), verbose=False)
    assert not list(tmp_path.iterdir())


def test_other_modules_are_refused(tmp_path):
    from lightning.pytorch.demos.boring_classes import BoringModel

    trainer = make_trainer(tmp_path, enable_checkpointing=True, callbacks=[BestCheckpoint()])
    with pytest.raises(InputError, match="BoringModel is not a ClassifierModule"):
        trainer.fit(BoringModel())


def test_a_run_that_was_moved_keeps_its_best(encoders, tmp_path):
    fit(tmp_path / "run", encoders("bert"), [0.9, 0.1])
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    kept = stored(moved / "best.ckpt")
    _, best, _ = fit(moved, encoders("bert"), [0.9, 0.1, 0.5], checkpoint=moved / "last.ckpt")
    assert best.best_model_score.item() == pytest.approx(0.9)
    assert best.best_model_path == str(moved / "best.ckpt")
    assert same(stored(moved / "best.ckpt"), kept)
    assert same(exported(moved / "best"), {name: kept[name] for name in kept if name.startswith("network.")})
    _, best, _ = fit(moved, encoders("bert"), [0.9, 0.1, 0.5, 0.95], checkpoint=moved / "last.ckpt")
    assert best.best_model_score.item() == pytest.approx(0.95)


@pytest.mark.parametrize("left", ["nothing", "an older one"])
def test_a_best_whose_export_was_lost_is_exported_at_the_end(left, encoders, tmp_path):
    fit(tmp_path, encoders("bert"), [0.9, 0.1])
    kept = stored(tmp_path / "best.ckpt")
    shutil.rmtree(tmp_path / "best")
    if left == "an older one":
        module = make_module("single", encoders("bert"), labels=load_artefact(tmp_path / "best.ckpt").labels.to_dict())
        module.build()
        module.artefact.save(tmp_path / "best")
    fit(tmp_path, encoders("bert"), [0.9, 0.1, 0.5], checkpoint=tmp_path / "last.ckpt")
    assert same(exported(tmp_path / "best"), {name: kept[name] for name in kept if name.startswith("network.")})


def test_a_mode_that_would_keep_the_worst_is_refused(encoders, tmp_path):
    trainer = make_trainer(tmp_path, enable_checkpointing=True, callbacks=[BestCheckpoint(mode="min")])
    message = complaint(lambda: trainer.fit(make_module("single", encoders("bert")), make_data("single")))
    assert message.startswith("model.monitor 'val/f1_macro' is the better the higher it is: set ")
    assert message.endswith("checkpoint.mode and early_stopping.mode to max")


def test_a_checkpoint_that_finds_no_room_leaves_the_old_one(encoders, tmp_path):
    fit(tmp_path, encoders("bert"), [0.9])
    before = (tmp_path / "last.ckpt").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        message = complaint(lambda: fit(tmp_path, encoders("bert"), [0.9, 0.95], checkpoint=tmp_path / "last.ckpt"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written" in message
    assert "free space, or set trainer.default_root_dir to another folder" in message
    assert (tmp_path / "last.ckpt").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("every", [1, 2, 3])
def test_checkpoints_within_an_epoch_leave_the_best_as_it_is(every, encoders, tmp_path):
    numbers = [0.2, 0.7, 0.4]
    folders = tmp_path / "plain", tmp_path / "often"
    for folder, best in zip(folders, ({}, {"save_every_n_steps": every}), strict=True):
        torch.manual_seed(0)
        _, callback, _ = fit(folder, encoders("bert"), numbers, best=best)
        assert callback.best_model_score.item() == pytest.approx(0.7)
    plain, often = (torch.load(folder / "best.ckpt", weights_only=True) for folder in folders)
    assert plain["global_step"] == often["global_step"] == 4
    assert same(plain["state_dict"], often["state_dict"])
    assert same(exported(folders[1] / "best"), exported(folders[0] / "best"))


class Saves(BestCheckpoint):
    """Writes down when `last.ckpt` is saved: at which step, and after how many validations."""

    def setup(self, trainer, pl_module, stage):
        super().setup(trainer, pl_module, stage)
        self.seen, self.validations = [], 0

    def on_validation_start(self, trainer, pl_module):
        self.validations += not trainer.sanity_checking

    def _save_last_checkpoint(self, trainer, monitor_candidates):
        self.seen.append((trainer.global_step, self.validations))
        super()._save_last_checkpoint(trainer, monitor_candidates)


def test_checkpoints_within_an_epoch_are_left_to_a_validation_that_follows(encoders, tmp_path):
    # epochs of 4 steps, and a validation after each
    best = Saves(save_every_n_steps=2, export=False)
    trainer = make_trainer(tmp_path, enable_checkpointing=True, callbacks=[best], max_epochs=2)
    trainer.fit(make_module("single", encoders("bert")), make_data("single", batch_size=2))
    assert list(dict.fromkeys(best.seen)) == [(2, 0), (4, 1), (6, 1), (8, 2)]
    assert (
        complaint(lambda: BestCheckpoint(save_every_n_steps=0)) == "checkpoint.save_every_n_steps is 0: give 1 or more"
    )
    assert (
        complaint(lambda: BestCheckpoint(save_every_n_steps=2.5))
        == "checkpoint.save_every_n_steps is 2.5, which is no whole number: give 1 or more"
    )


def test_who_reads_an_export_is_told_by_where_its_heads_are_from():
    class Own(LinearHead):
        pass

    Own.__module__ = "parts"
    assert readers([LinearHead("mean")]).endswith("transformers read the encoder alone, as LinearHead is ours")
    assert readers([LinearHead("mean"), Own("mean")]).startswith("lightning-clf reads this export with --import parts;")
