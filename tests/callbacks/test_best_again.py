"""One callback for several fits, and a fit that goes on with other settings."""

from __future__ import annotations

import pytest
import torch

from lightning_clf.callbacks import BestCheckpoint
from tests.callbacks.test_best import exported, fit, same, stored


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
