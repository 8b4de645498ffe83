"""Early stopping watches the task's own number, and is off unless asked for."""

from __future__ import annotations

import warnings

import pytest

from lightning_clf.callbacks import BestCheckpoint, TaskEarlyStopping
from tests.callbacks.test_best import Judged, Weights
from tests.training import complaint, make_data, make_module, make_trainer

NAN = float("nan")


def epochs(numbers, encoder, folder, **options) -> int:
    """How many epochs a fit takes."""
    trainer = make_trainer(folder, callbacks=[TaskEarlyStopping(**options)], max_epochs=len(numbers))
    trainer.fit(Judged(str(encoder), numbers), make_data("single"))
    return trainer.current_epoch


@pytest.mark.parametrize(("numbers", "options", "taken"), [
    ([0.5, 0.4, 0.6, 0.3], {}, 4),
    ([0.5, NAN, NAN, NAN], {}, 4),
    ([0.5, 0.4, 0.6, 0.3], {"patience": 1}, 2),
    ([0.5, 0.4, 0.6, 0.5, 0.5, 0.9], {"patience": 2}, 5),
    ([0.5, 0.52, 0.7], {"patience": 1, "min_delta": 0.1}, 2),
    ([0.5, 0.4, 0.45, 0.3], {"patience": 1, "mode": "min"}, 3),
    ([0.5, NAN, 0.6], {"patience": 2}, 3),
    ([0.5, NAN, NAN, 0.6], {"patience": 2}, 3),
    ([NAN, 0.5, 0.4, 0.6], {"patience": 1}, 3),
    ([NAN, NAN, 0.5], {"patience": 1}, 2),
])  # fmt: skip
def test_epochs_until_it_stops(numbers, options, taken, encoders, tmp_path):
    assert epochs(numbers, encoders("bert"), tmp_path, **options) == taken


def test_a_metric_that_is_better_lower_needs_its_mode(encoders, tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[TaskEarlyStopping(patience=1)])
    module = make_module("single", encoders("bert"), monitor="val/loss")
    message = complaint(lambda: trainer.fit(module, make_data("single")))
    assert message.startswith("model.monitor 'val/loss' is the better the lower it is: set ")
    assert message.endswith("checkpoint.mode and early_stopping.mode to min")


def test_a_misnamed_metric_is_refused_before_training(encoders, tmp_path):
    weights = Weights()
    module = make_module("single", encoders("bert"), monitor="val/f1_makro")

    def run(patience):
        make_trainer(tmp_path, callbacks=[TaskEarlyStopping(patience), weights]).fit(module, make_data("single"))

    message = complaint(lambda: run(2))
    assert message.startswith("model.monitor 'val/f1_makro' is not a metric of this task: use one of val/accuracy, ")
    assert weights.batches == 0
    run(None)  # which watches nothing


def test_tags_that_are_no_spans_are_watched_by_accuracy(encoders, tmp_path):
    callback = TaskEarlyStopping(patience=1)
    rows = [{"tokens": ["a", "b"], "tags": ["DT", "NN"]}]
    make_trainer(tmp_path, callbacks=[callback]).fit(make_module("tags", encoders("bert")), make_data("tags", rows))
    assert callback.monitor == "val/accuracy"
    assert callback.best_score.isfinite()


@pytest.mark.parametrize("patience", [0, -1])
def test_a_patience_that_waits_for_nothing_is_refused(patience):
    message = complaint(lambda: TaskEarlyStopping(patience=patience))
    assert message == f"early_stopping.patience is {patience}: give 1 or more, or null to never stop early"
    message = complaint(lambda: TaskEarlyStopping(patience=1.5))
    assert message == "early_stopping.patience is 1.5, which is no whole number: give 1 or more"


@pytest.mark.parametrize(("before", "after", "taken"), [(2, 4, 5), (2, None, 6), (4, 1, 5), (None, 1, 5)])
def test_a_run_goes_on_with_the_patience_it_is_given(before, after, taken, encoders, tmp_path):
    numbers = [0.5, 0.4, 0.4, 0.4, 0.4, 0.4]
    last = tmp_path / "last.ckpt"

    def fit(patience, epochs, **options):
        callback = TaskEarlyStopping(patience)
        trainer = make_trainer(tmp_path, callbacks=[callback], max_epochs=epochs)
        trainer.fit(Judged(str(encoders("bert")), numbers), make_data("single"), **options)
        return trainer, callback

    trainer, _ = fit(before, 4 if before == 4 else 3)
    trainer.save_checkpoint(last)
    trainer, callback = fit(after, 6, ckpt_path=last)
    assert trainer.current_epoch == taken
    assert bool(callback.stopped_epoch) == (taken < 6)


@pytest.mark.parametrize(("numbers", "said"), [
    ([0.5, 0.4, 0.6], "stopped early, after epoch 1: val/told has not been better than 0.5000 for 1 validations"),
    ([NAN, NAN, 0.6], "stopped early, after epoch 1: val/told was undefined in 2 validations"),
    ([NAN, 0.5], None),
])  # fmt: skip
def test_why_it_stopped_is_said(numbers, said, encoders, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr("lightning_clf.callbacks.early_stopping.rank_zero_info", lines.append)
    epochs(numbers, encoders("bert"), tmp_path, patience=1)
    assert lines == ([] if said is None else [f"{said} (early_stopping.patience)"])


class Threshold(TaskEarlyStopping):
    """Stops once a number is reached, also in the first epoch."""

    def __init__(self):
        super().__init__(patience=5)
        self.stopping_threshold = 0.4


def test_a_stop_in_the_first_epoch_is_said_too(encoders, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr("lightning_clf.callbacks.early_stopping.rank_zero_info", lines.append)
    trainer = make_trainer(tmp_path, callbacks=[Threshold()], max_epochs=2)
    trainer.fit(Judged(str(encoders("bert")), [0.5, 0.6]), make_data("single"))
    assert len(lines) == 1
    assert lines[0].startswith("stopped early, after epoch 0: Stopping threshold reached: val/told = 0.5 > 0.4.")


@pytest.mark.parametrize("keeps", [True, False])
def test_an_undefined_number_is_warned_of_once(keeps, encoders, tmp_path):
    callbacks = [TaskEarlyStopping(patience=3), *([BestCheckpoint(export=False)] if keeps else [])]
    trainer = make_trainer(tmp_path, callbacks=callbacks, enable_checkpointing=keeps, max_epochs=3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(Judged(str(encoders("bert")), [0.5, NAN, NAN]), make_data("single"))
    said = [str(warning.message) for warning in caught if "undefined" in str(warning.message)]
    assert said == [
        "val/told is undefined (NaN) in epoch 1, as where all scores are the same or no row counts: such an epoch is "
        "worse than any with a number; if it stays so, choose another model.monitor"
    ]


def test_a_callback_serves_one_fit_after_the_other(encoders, tmp_path):
    callback = TaskEarlyStopping(patience=1)
    for numbers, taken in (([0.9, 0.8, 0.7], 2), ([0.3, 0.4, 0.5], 3)):
        trainer = make_trainer(tmp_path, callbacks=[callback], max_epochs=3)
        trainer.fit(Judged(str(encoders("bert")), numbers), make_data("single"))
        assert trainer.current_epoch == taken
