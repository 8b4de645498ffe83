"""Fits of a part of the network: what moves when, going on as if never stopped, and plain weights at the end."""

from __future__ import annotations

import logging
import sys

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.strategies import DDPStrategy

from lightning_clf import SingleLabelClassifier
from lightning_clf.artefact import load_artefact
from lightning_clf.callbacks import BestCheckpoint
from lightning_clf.finetuning import FineTuning, LoRA
from lightning_clf.modules.checks import check_finetuning
from tests.modules.test_resumption import assert_same, fit
from tests.training import complaint, make_data, make_module, make_trainer

LAYERS = ("embeddings", "layer.0", "layer.1", "pooler", "classifier")


class Moved(Callback):
    """Which parts changed at all in each step."""

    def __init__(self):
        self.steps, self.modes = [], set()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        bert = pl_module.network.encoder.bert
        self.modes.add(tuple(one.training for one in (bert.embeddings.dropout, *bert.encoder.layer)))
        self.before = {name: one.detach().clone() for name, one in pl_module.named_parameters()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        changed = [name for name, one in pl_module.named_parameters() if not torch.equal(one, self.before[name])]
        self.steps.append({part for part in LAYERS for name in changed if part in name})


def moved(encoders, folder, finetuning, **options):
    seed_everything(0, verbose=False)
    callback = Moved()
    module = make_module("single", encoders("bert"), finetuning=finetuning, weight_decay=0.1, warmup_ratio=0.0)
    make_trainer(folder, callbacks=[callback], **options).fit(module, make_data("single", batch_size=2))
    return callback.steps, module, callback.modes


def test_what_is_unfrozen_moves_and_nothing_else_does(encoders, tmp_path):
    # 8 steps; the first 6 over 3 depths; the last step's rate is not 0
    steps, _, modes = moved(encoders, tmp_path, FineTuning(unfreeze_over=0.75), max_epochs=2)
    assert modes == {(True, True, True)}
    head = {"pooler", "classifier"}
    expected = [head, {"layer.1"} | head, {"layer.0", "layer.1"} | head, set(LAYERS)]
    assert steps == [expected[min(3, step // 2)] for step in range(8)]


def test_unfreezing_counts_steps_of_the_optimiser(encoders, tmp_path):
    steps, module, _ = moved(encoders, tmp_path, FineTuning(unfreeze_over=1.0), max_epochs=3, accumulate_grad_batches=4)
    assert module._total_steps == 3
    taken = [step for step in steps if step]  # the first of the batches that are accumulated move nothing
    assert [len(step) for step in taken] == [2, 3, 4]
    assert [bool(step) for step in steps] == [False, False, False, True] * 3


@pytest.mark.parametrize(
    ("finetuning", "still"),
    [
        (FineTuning(freeze="embeddings"), {"embeddings"}),
        (FineTuning(freeze_layers=1), {"embeddings", "layer.0"}),
        (FineTuning(freeze="encoder"), {"embeddings", "layer.0", "layer.1"}),
    ],
)
def test_what_is_frozen_never_moves(finetuning, still, encoders, tmp_path):
    steps, _, modes = moved(encoders, tmp_path, finetuning, max_epochs=2)
    assert modes == {tuple(part not in still for part in LAYERS[:3])}  # after each validation too
    assert steps == [set(LAYERS) - still] * 8


def test_no_policy_is_a_policy_that_does_nothing(encoders, tmp_path):
    encoders("bert")  # whose making draws random numbers
    one, other = (fit(encoders, tmp_path / name, model=model) for name, model in (
        ("without", {}), ("with", {"finetuning": FineTuning()})
    ))  # fmt: skip
    assert_same(one[0], other[0])


@pytest.mark.parametrize(
    "finetuning",
    [
        FineTuning(unfreeze_over=0.7),
        FineTuning(freeze_layers=1, layer_decay=0.8),
        LoRA(rank=2, dropout=0.1),
    ],
)
def test_a_run_goes_on_from_every_step(finetuning, encoders, tmp_path):
    model = {"finetuning": finetuning}
    weights, metrics, seen = fit(encoders, tmp_path / "whole", save=True, model=model)
    for step in range(1, len(seen)):
        checkpoint = tmp_path / "whole" / f"step{step}.ckpt"
        rest = fit(encoders, tmp_path / str(step), checkpoint, seed=5, model=model)
        assert rest[2] == seen[step:], step
        assert_same(rest[0], weights)
        assert rest[1] == metrics


def test_without_a_policy_all_is_trainable_and_said_to_be(encoders, tmp_path, caplog):
    module = make_module("single", encoders("bert"))
    with caplog.at_level("INFO"):
        make_trainer(tmp_path, max_steps=1).fit(module, make_data("single"))
    wanted = sum(weight.numel() for weight in module.parameters())
    assert f"{wanted:,} of {wanted:,} parameters are trainable" in caplog.messages


def test_what_is_trainable_is_said_at_the_start(encoders, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="lightning.pytorch.utilities.rank_zero"):
        moved(encoders, tmp_path, FineTuning(layer_decay=0.5, freeze="embeddings", unfreeze_over=0.5))
    (block,) = [record.getMessage() for record in caplog.records if "trainable" in record.getMessage()]
    assert block.splitlines()[1:] == [
        "unfrozen from the top down over the first 50% of the steps",
        "learning rate by depth:",
        "  head       5e-05",
        "  layer 1    2.5e-05",
        "  layer 0    1.25e-05",
    ]


# ---------------------------------------------------------------------- adapters


@pytest.fixture(scope="module")
def lora_run(encoders, tmp_path_factory):
    """A run with adapters, kept and exported."""
    folder = tmp_path_factory.mktemp("lora")
    seed_everything(0, verbose=False)
    options = {"finetuning": LoRA(rank=2, target_modules=["query", "value"]), "learning_rate": 0.05}
    module = make_module("single", encoders("bert"), **options)
    trainer = make_trainer(folder, enable_checkpointing=True, callbacks=[BestCheckpoint()], max_epochs=2)
    trainer.fit(module, make_data("single"))
    return folder, module


def scores(network, data):
    with torch.inference_mode():
        return torch.cat([network.eval()(batch) for batch in data.test_dataloader()])


def test_adapters_are_exported_and_read_as_plain_weights(lora_run, encoders, tmp_path, monkeypatch):
    folder, module = lora_run
    data = make_data("single")
    trainer = make_trainer(tmp_path)
    trained = trainer.test(module, data, verbose=False)
    live = scores(module.network, data)
    stored = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
    assert sum("lora_" in name for name in stored) == 8
    monkeypatch.setitem(sys.modules, "peft", None)  # from here on it is not installed
    loaded = SingleLabelClassifier.load_from_checkpoint(str(folder / "best.ckpt"))
    start = make_module("single", encoders("bert"), labels=module.labels.to_dict())
    start.build()
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(loaded.network.encoder.state_dict()[name], start.network.encoder.state_dict()[name])
    read = [load_artefact(folder / name).network for name in ("best.ckpt", "best")]
    for network in (loaded.network, *read):
        assert network.state_dict().keys() == start.network.state_dict().keys()
        torch.testing.assert_close(scores(network, data), live, atol=1e-5, rtol=0)
    # a Trainer that is given the checkpoint reads it so too
    for one in (loaded, start):
        assert make_trainer(tmp_path).test(one, make_data("single"), ckpt_path=folder / "best.ckpt", verbose=False) == [
            pytest.approx(trained[0], abs=1e-5)
        ]


def test_stock_code_reads_the_export(lora_run):
    from transformers import AutoModelForSequenceClassification

    folder, module = lora_run
    model, told = AutoModelForSequenceClassification.from_pretrained(folder / "best", output_loading_info=True)
    assert not any(told.values())
    inputs = module.tokenizer("Anna Berg moved to Berlin", return_tensors="pt")
    with torch.inference_mode():
        module.network.eval()
        torch.testing.assert_close(
            model.eval()(**inputs).logits, module.network.encoder(**inputs).logits, atol=1e-4, rtol=0
        )


def test_a_loaded_module_goes_on_with_its_adapters(lora_run, tmp_path):
    folder, _ = lora_run
    loaded = SingleLabelClassifier.load_from_checkpoint(str(folder / "last.ckpt"))
    trainer = make_trainer(tmp_path, max_epochs=3)
    trainer.fit(loaded, make_data("single"), ckpt_path=folder / "last.ckpt")
    before = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
    after = loaded.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("lora_" in name or "pooler" in name or "classifier" in name for name in changed)


# ---------------------------------------------------------------------- what does not go together


def test_a_fit_does_not_go_on_with_another_policy(lora_run, encoders, tmp_path):
    folder, _ = lora_run
    module = make_module("single", encoders("bert"), finetuning=FineTuning(freeze_layers=1))
    message = complaint(
        lambda: make_trainer(tmp_path, max_epochs=3).fit(module, make_data("single"), ckpt_path=folder / "last.ckpt")
    )
    assert message == (
        "model.finetuning is FineTuning(freeze='nothing', freeze_layers=1, layer_decay=1.0, head_learning_rate=None, "
        "unfreeze_over=0.0), but the checkpoint was trained with LoRA(rank=2, alpha=16.0, dropout=0.0, "
        "target_modules=['query', 'value'], head_learning_rate=None): set it to that, or train anew"
    )


@pytest.mark.parametrize(("key", "value", "before"), [("learning_rate", 0.5, 5e-5), ("weight_decay", 0.5, 0.01)])
def test_a_fit_does_not_go_on_at_another_rate(key, value, before, encoders, tmp_path):
    # the optimiser of the checkpoint goes on as it was, and what is written next would say otherwise
    make_trainer(tmp_path, max_epochs=1, enable_checkpointing=True, callbacks=[BestCheckpoint(export=False)]).fit(
        make_module("single", encoders("bert"), **{key: before}), make_data("single")
    )
    module = make_module("single", encoders("bert"), **{key: value})
    trainer = make_trainer(tmp_path / "again", max_epochs=2)
    message = complaint(lambda: trainer.fit(module, make_data("single"), ckpt_path=tmp_path / "last.ckpt"))
    assert message == (
        f"model.{key} is {value}, but the checkpoint was trained with {before}: set it to that, or train anew"
    )


def test_unfreezing_under_plain_ddp(encoders, tmp_path):
    said = (
        "model.finetuning.unfreeze_over leaves parameters without gradients, which trainer.strategy ddp waits for: use "
        "ddp_find_unused_parameters_true"
    )
    trainer = make_trainer(tmp_path, strategy=DDPStrategy(find_unused_parameters=False))
    module = make_module("single", encoders("bert"), finetuning=FineTuning(unfreeze_over=0.1))
    module._trainer = trainer
    assert complaint(lambda: check_finetuning(trainer, module.finetuning)) == said
    check_finetuning(trainer, FineTuning(freeze_layers=1))
    check_finetuning(make_trainer(tmp_path, strategy="ddp_find_unused_parameters_true"), FineTuning(unfreeze_over=0.1))
    check_finetuning(make_trainer(tmp_path), FineTuning(unfreeze_over=0.1))


def test_adapters_that_are_not_whole(lora_run, tmp_path):
    folder, _ = lora_run
    checkpoint = torch.load(folder / "best.ckpt", weights_only=True)
    del checkpoint["state_dict"]["network.encoder.bert.encoder.layer.0.attention.self.query.lora_B.default.weight"]
    torch.save(checkpoint, tmp_path / "best.ckpt")
    for read in (load_artefact, SingleLabelClassifier.load_from_checkpoint):
        message = complaint(lambda read=read: read(str(tmp_path / "best.ckpt")))
        assert message.startswith("the checkpoint is damaged (KeyError")


def test_a_trainer_is_used_again_for_a_module_of_somebody_elses(encoders, tmp_path):
    from lightning.pytorch.demos.boring_classes import BoringModel

    trainer = make_trainer(tmp_path)
    trainer.validate(make_module("single", encoders("bert")), make_data("single"), verbose=False)
    trainer.datamodule = None  # which Lightning keeps
    assert trainer.validate(BoringModel(), verbose=False)
