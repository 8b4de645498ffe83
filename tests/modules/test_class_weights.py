"""Class weights: counted in train, kept as buffers, and read back without train."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import seed_everything
from torch.nn import functional

from lightning_clf import SingleLabelClassifier
from tests.training import NO_DROPOUT, ROWS, make_data, make_module, make_trainer

BALANCED = [8 / 9, 8 / 9, 8 / 6]  # bad, fine, good: 3, 3 and 2 of 8 rows


@pytest.fixture(scope="module")
def fitted(encoders, tmp_path_factory):
    """A module that counted its weights, and its checkpoint."""
    folder = tmp_path_factory.mktemp("weights")
    seed_everything(0, verbose=False)
    options = {"encoder_options": NO_DROPOUT, "learning_rate": 1e-2}
    module = make_module("single", encoders("bert"), class_weights="inverse", **options)
    trainer = make_trainer(folder)
    trainer.fit(module, make_data("single"))
    trainer.save_checkpoint(folder / "one.ckpt")
    return module, folder / "one.ckpt"


def test_counts_become_a_buffer_of_the_checkpoint(fitted):
    module, path = fitted
    torch.testing.assert_close(module.loss.class_weights, torch.tensor(BALANCED))
    assert "class_weights" in dict(module.loss.named_buffers())
    stored = torch.load(path, weights_only=True)["state_dict"]["loss.class_weights"]
    torch.testing.assert_close(stored, torch.tensor(BALANCED))


def test_a_test_needs_no_train_data(fitted, tmp_path):
    module = SingleLabelClassifier.load_from_checkpoint(str(fitted[1]))
    only_test = make_data("single", source={"test": ROWS["single"][:5]})
    (numbers,) = make_trainer(tmp_path).test(module, only_test, verbose=False)
    batch = next(iter(only_test.test_dataloader()))
    with torch.no_grad():
        expected = functional.cross_entropy(module(batch), batch.targets, weight=torch.tensor(BALANCED))
    assert numbers["test/loss"] == pytest.approx(expected.item(), abs=1e-6)
    assert numbers["test/loss"] != pytest.approx(
        functional.cross_entropy(module(batch), batch.targets).item(), abs=1e-5
    )


@pytest.mark.parametrize(("weights", "expected"), [
    ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), ({"good": 4.0}, [1.0, 1.0, 4.0]), (None, [1.0, 1.0, 1.0]),
])  # fmt: skip
def test_weights_of_a_checkpoint_may_be_replaced(weights, expected, fitted):
    module = SingleLabelClassifier.load_from_checkpoint(str(fitted[1]), class_weights=weights)
    assert module.loss.class_weights.tolist() == expected
    torch.testing.assert_close(module.network.state_dict(), fitted[0].network.state_dict(), atol=0, rtol=0)


def test_counts_are_taken_anew_by_another_fit(fitted, tmp_path):
    module = SingleLabelClassifier.load_from_checkpoint(str(fitted[1]))
    make_trainer(tmp_path).fit(module, make_data("single", ROWS["single"][:6]))  # two of each
    assert module.loss.class_weights.tolist() == [1.0, 1.0, 1.0]
