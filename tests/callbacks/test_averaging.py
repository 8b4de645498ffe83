"""Lightning's own callbacks for averaged weights: what is validated, kept and exported is the average."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging, WeightAveraging

from lightning_clf.artefact import load_artefact
from lightning_clf.callbacks import BestCheckpoint
from lightning_clf.finetuning import FineTuning, LoRA
from tests.modules.test_resumption import assert_same
from tests.training import make_data, make_module, make_trainer

DECAY = 0.9  # with which Lightning's average of buffers would move positions


class Weights(Callback):
    """The weights after each step, at the start of each epoch, and as validated; all but what is no parameter."""

    def __init__(self):
        self.steps, self.epochs, self.validated, self.positions = [], [], [], []

    def on_train_epoch_start(self, trainer, pl_module):
        self.epochs.append(parameters(pl_module))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append(parameters(pl_module))

    def on_validation_batch_end(self, trainer, pl_module, *arguments):
        if not trainer.sanity_checking:
            self.validated.append(parameters(pl_module))
        self.positions.append(pl_module.network.encoder.bert.embeddings.position_ids.clone())


def parameters(module):
    return {name: one.detach().clone() for name, one in module.named_parameters()}


def run(encoders, folder, callback, *, epochs=3, checkpoint=None, finetuning=None, save=None, seed=0):
    """A fit of epochs of two steps and one batch of validation."""
    seed_everything(seed, verbose=False)
    weights, best = Weights(), BestCheckpoint()
    module = make_module("single", encoders("bert"), learning_rate=1e-2, finetuning=finetuning, class_weights="inverse")
    callbacks = [callback, best, weights, *([save] if save else [])]
    trainer = make_trainer(folder, enable_checkpointing=True, callbacks=callbacks, max_epochs=epochs)
    trainer.fit(module, make_data("single", eval_batch_size=8), ckpt_path=checkpoint)
    return module, weights, best, trainer


def stored(path):
    return torch.load(path, weights_only=True)["state_dict"]


def assert_close(state, expected):
    for name, tensor in expected.items():
        torch.testing.assert_close(state[name], tensor, atol=1e-6, rtol=1e-5, msg=name)


def averages(steps, decay):
    """The exponential moving average after each step, in float64: the first is the first step's weights."""
    average = {name: one.double() for name, one in steps[0].items()}
    yield average
    for step in steps[1:]:
        average = {name: decay * one + (1 - decay) * step[name].double() for name, one in average.items()}
        yield average


def as_floats(state):
    return {name: one.float() for name, one in state.items()}


@pytest.mark.parametrize("finetuning", [None, FineTuning(freeze_layers=1)])
def test_an_exponential_average_is_what_is_kept_and_exported(finetuning, encoders, tmp_path):
    module, weights, best, _ = run(encoders, tmp_path, EMAWeightAveraging(decay=DECAY), finetuning=finetuning)
    after = [as_floats(one) for one in averages(weights.steps, DECAY)][1::2]
    assert len(after) == len(weights.validated) == 3
    for validated, expected in zip(weights.validated, after, strict=True):
        assert_close(validated, expected)
    kept = torch.load(best.best_model_path, weights_only=True)
    expected = after[kept["epoch"]]
    assert max((expected[name] - one).abs().max() for name, one in weights.steps[2 * kept["epoch"] + 1].items()) > 1e-4
    export = {f"network.{name}": one for name, one in load_artefact(tmp_path / "best").network.state_dict().items()}
    for state in (kept["state_dict"], export, module.state_dict()):
        assert_close(state, expected)
    assert_close(stored(tmp_path / "last.ckpt"), after[-1])
    whole = torch.arange(module.network.encoder.bert.embeddings.position_ids.numel())
    assert all(torch.equal(one.flatten(), whole) for one in weights.positions)
    assert torch.equal(kept["state_dict"]["loss.class_weights"], module.loss.class_weights)
    assert not torch.equal(module.loss.class_weights, torch.ones(3))


def test_adapters_that_are_averaged_are_exported_merged(encoders, tmp_path):
    module, weights, best, _ = run(encoders, tmp_path, EMAWeightAveraging(decay=DECAY), finetuning=LoRA(rank=2))
    after = [as_floats(one) for one in averages(weights.steps, DECAY)][1::2]
    kept = torch.load(best.best_model_path, weights_only=True)
    assert_close(kept["state_dict"], after[kept["epoch"]])
    of_checkpoint, of_export = (load_artefact(tmp_path / name).network for name in ("best.ckpt", "best"))
    assert_same(of_checkpoint.state_dict(), of_export.state_dict())
    name = "network.encoder.bert.encoder.layer.1.output.dense"
    state = {key.removeprefix(f"{name}."): one for key, one in module.state_dict().items() if key.startswith(name)}
    whole = state["base_layer.weight"] + 8 * state["lora_B.default.weight"] @ state["lora_A.default.weight"]  # 16 / 2
    torch.testing.assert_close(of_export.encoder.bert.encoder.layer[1].output.dense.weight, whole)


class AfterEachStep(Callback):
    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.save_checkpoint(self.folder / f"step{trainer.global_step}.ckpt")


def test_an_average_goes_on_as_if_it_had_not_stopped(encoders, tmp_path):
    whole = tmp_path / "whole"
    run(encoders, whole, EMAWeightAveraging(decay=DECAY), save=AfterEachStep(whole))
    for step in range(1, 6):
        folder = tmp_path / str(step)
        run(encoders, folder, EMAWeightAveraging(decay=DECAY), checkpoint=whole / f"step{step}.ckpt", seed=5)
        one, other = (torch.load(place / "last.ckpt", weights_only=True) for place in (whole, folder))
        for key in ("state_dict", "current_model_state"):
            assert_same(one[key], other[key])


def test_the_plain_average_of_all_steps(encoders, tmp_path):
    _, weights, _, _ = run(encoders, tmp_path, WeightAveraging())
    mean = {name: torch.stack([step[name].double() for step in weights.steps]).mean(0) for name in weights.steps[0]}
    assert_close(stored(tmp_path / "last.ckpt"), as_floats(mean))


@pytest.mark.parametrize("finetuning", [None, LoRA(rank=2)])
def test_the_stochastic_mean_is_what_the_run_ends_with(finetuning, encoders, tmp_path):
    swa = StochasticWeightAveraging(swa_lrs=1e-2, swa_epoch_start=2, annealing_epochs=1)
    module, weights, best, _ = run(encoders, tmp_path, swa, epochs=4, finetuning=finetuning)
    taken = weights.epochs[1:]  # Lightning takes the weights that each epoch from the second on starts with
    assert len(taken) == 3
    mean = as_floats({name: torch.stack([one[name].double() for one in taken]).mean(0) for name in taken[0]})
    assert_close(module.state_dict(), mean)
    assert_close(stored(tmp_path / "averaged.ckpt"), mean)
    of_checkpoint, of_export = (load_artefact(tmp_path / name).network for name in ("averaged.ckpt", "averaged"))
    assert_same(of_checkpoint.state_dict(), of_export.state_dict())
    kept = torch.load(best.best_model_path, weights_only=True)
    assert_close(kept["state_dict"], weights.validated[kept["epoch"]])  # of one epoch, as validated
    assert_same(load_artefact(tmp_path / "best.ckpt").network.state_dict(),
                load_artefact(tmp_path / "best").network.state_dict())  # fmt: skip


def test_a_stochastic_mean_that_was_not_reached_leaves_the_best(encoders, tmp_path):
    swa = StochasticWeightAveraging(swa_lrs=1e-2, swa_epoch_start=2, annealing_epochs=1)
    seed_everything(0, verbose=False)
    module = make_module("single", encoders("bert"), learning_rate=1e-2)
    trainer = make_trainer(
        tmp_path, enable_checkpointing=True, callbacks=[swa, BestCheckpoint()], max_epochs=4, max_steps=5
    )
    trainer.fit(module, make_data("single"))
    assert_same(stored(tmp_path / "best.ckpt"), module.state_dict())
    assert not (tmp_path / "averaged.ckpt").exists()


def test_going_on_with_a_stochastic_mean_is_warned_of(encoders, tmp_path):
    def swa():
        return StochasticWeightAveraging(swa_lrs=1e-2, swa_epoch_start=1, annealing_epochs=1)

    run(encoders, tmp_path / "part", swa(), epochs=2)
    with pytest.warns(UserWarning, match="StochasticWeightAveraging does not go on as if the run had not stopped"):
        run(encoders, tmp_path / "rest", swa(), checkpoint=tmp_path / "part" / "last.ckpt", epochs=3)
