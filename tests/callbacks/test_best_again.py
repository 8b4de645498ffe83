"""One callback for several fits, and a fit that goes on with other settings."""

from __future__ import annotations

import warnings

import pytest
import torch

from lightning_clf.callbacks import BestCheckpoint
from tests.callbacks.test_best import Judged, exported, fit, same, stored
from tests.training import complaint, make_data, make_trainer


@pytest.mark.parametrize("given", [True, False], ids=["a folder", "no folder"])
def test_a_callback_serves_one_fit_after_the_other(given, encoders, tmp_path):
    one, other = ("given", "given") if given else ("one", "other")
    best = BestCheckpoint()
    best.dirpath = str(tmp_path / "given") if given else None
    fit(tmp_path / "one", encoders("bert"), [0.9, 0.8], callback=best)
    before = stored(tmp_path / one / "best.ckpt")
    module, _, seen = fit(tmp_path / "other", encoders("bert"), [0.3, 0.5, 0.4], callback=best)
    assert best.best_model_path == str(tmp_path / other / "best.ckpt")
    assert best.best_model_score.item() == pytest.approx(0.5)
    for weights in (stored(tmp_path / other / "best.ckpt"), module.state_dict(), exported(tmp_path / other / "best")):
        assert all(torch.equal(weights[name], seen[1][name]) for name in weights)
    assert given or same(stored(tmp_path / one / "best.ckpt"), before)
    last = tmp_path / other / "last.ckpt"
    module, _, _ = fit(tmp_path / "other", None, [0.3, 0.5, 0.4, 0.1], checkpoint=last, callback=best)
    assert same(module.state_dict(), seen[1])  # and goes on where that was left


@pytest.mark.parametrize(("monitor", "mode"), [("val/accuracy", "max"), ("val/loss", "min"), ("val/told", "min")])
def test_a_best_by_another_metric_is_not_compared_with(monitor, mode, encoders, tmp_path):
    fit(tmp_path / "run", encoders("bert"), [0.9])
    last = tmp_path / "run" / "last.ckpt"

    def go_on(folder):
        module = Judged.load_from_checkpoint(str(last), numbers=[0.9, 0.5])
        module.monitor = monitor
        best = BestCheckpoint(mode=mode)
        trainer = make_trainer(tmp_path / folder, enable_checkpointing=True, callbacks=[best], max_epochs=2)
        trainer.fit(module, make_data("single"), ckpt_path=last)
        return best

    assert complaint(lambda: go_on("run")) == (
        f"model.monitor and checkpoint.mode are {monitor!r} and {mode}, but the checkpoint's best was chosen by "
        "'val/told' and max: set them to that, or train anew"
    )
    assert go_on("elsewhere").best_model_path == str(tmp_path / "elsewhere" / "best.ckpt")  # where none is known


def test_a_checkpoint_that_does_not_say_which_way_is_better_is_gone_on_from(encoders, tmp_path):
    fit(tmp_path, encoders("bert"), [0.9])
    last = tmp_path / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    del checkpoint["callbacks"]["BestCheckpoint"]["mode"]
    torch.save(checkpoint, last)
    _, best, _ = fit(tmp_path, None, [0.9, 0.5], checkpoint=last)
    assert best.best_model_score.item() == pytest.approx(0.9)


def test_a_run_with_nothing_left_to_do_says_whose_best_it_keeps(encoders, tmp_path, monkeypatch):
    fit(tmp_path / "run", encoders("bert"), [0.9])
    lines = []
    monkeypatch.setattr("lightning_clf.callbacks.best.rank_zero_info", lines.append)
    fit(tmp_path / "elsewhere", None, [0.9], checkpoint=tmp_path / "run" / "last.ckpt")
    path, export = tmp_path / "run" / "best.ckpt", tmp_path / "elsewhere" / "best"
    assert lines == [f"best: that of the run before, epoch 0, kept in {path} and exported to {export}"]


def test_a_fit_says_that_it_replaces_the_best_of_another(encoders, tmp_path):
    def said(**options):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(tmp_path, encoders("bert"), **options)
        return [str(one.message) for one in caught if "another fit" in str(one.message)]

    assert said(numbers=[0.9]) == []
    assert said(numbers=[0.9, 0.8], checkpoint=tmp_path / "last.ckpt") == []
    assert said(numbers=[0.9]) == [
        f"{tmp_path / 'best.ckpt'} is of another fit, and is replaced: give each fit a trainer.default_root_dir"
    ]
