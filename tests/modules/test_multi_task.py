"""Several tasks on one encoder: each scored, trained and exported as by its own module."""

from __future__ import annotations

import json
import math
from itertools import chain

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.nn import functional

from lightning_clf import MultiTaskClassifier, load_classifier
from lightning_clf.artefact import load_artefact
from lightning_clf.callbacks import BestCheckpoint, ClassReport
from lightning_clf.finetuning import FineTuning
from lightning_clf.heads import CRFHead, LinearHead
from lightning_clf.losses import FocalLoss
from lightning_clf.modules import TrainedModule
from tests.several_tasks import fit, intent_and_slots, make_tasks
from tests.tiny import CORPUS
from tests.training import NO_DROPOUT, make_data, make_module, make_trainer

KINDS = ("single", "multi", "tags", "score")
# ---------------------------------------------------------------------- scores


def test_every_kind_is_scored_and_exported_as_by_its_own_module(encoders, tmp_path):
    trainer, module, _ = fit(encoders("bert"), tmp_path, make_tasks(*KINDS))
    logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
    judged = ["single/f1_macro", "multi/f1_macro", "tags/entity_f1", "score/spearman"]
    values = [logged[f"val/{name}"] for name in judged]
    assert logged["val/mean"] == pytest.approx(sum(values) / 4, nan_ok=True)
    for kind in KINDS:
        own = make_module(kind, encoders("bert"))
        own.adopt(load_artefact(tmp_path / "best" / kind).network)
        validated = make_trainer(tmp_path).validate(own, make_data(kind), verbose=False)[0]
        assert validated
        for name, value in validated.items():
            assert logged[name.replace("val/", f"val/{kind}/")] == pytest.approx(value, abs=1e-6, nan_ok=True), name
    assert {path.name for path in (tmp_path / "best").iterdir()} == {
        *KINDS,
        "encoder",
        "heads.safetensors",
        "lightning_clf.json",
    }
    assert module.names == list(KINDS)


def test_the_loss_of_a_step_is_the_weighted_sum_of_the_means_of_its_tasks(encoders, tmp_path):
    class Gradients(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            self.module = pl_module
            self.found = {name: value.grad.clone() for name, value in pl_module.encoder.named_parameters()}
            self.loss = trainer.callback_metrics["train/loss_step"].item()

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.weights = {name: value.clone() for name, value in pl_module.state_dict().items()}
            self.batch = batch

    classes = [10.0, 1.0, 4.0]
    formulas = {
        "single": lambda scores, wanted: functional.cross_entropy(scores, wanted, torch.tensor(classes)),
        "tags": lambda scores, wanted: functional.cross_entropy(scores.flatten(0, 1), wanted.flatten()),
        # the mean over rows of the sum over labels
        "multi": lambda scores, wanted: functional.binary_cross_entropy_with_logits(scores, wanted.float()) * 2,
        "score": functional.mse_loss,
    }
    weights = {"single": 0.25, "tags": 3.0, "multi": 2.0}
    model = {"loss_weights": weights, "encoder_options": NO_DROPOUT, "tasks": {"single": {"class_weights": classes}}}
    seen = Gradients()
    trainer = make_trainer(tmp_path, callbacks=[seen], max_steps=1)
    module = MultiTaskClassifier(str(encoders("bert")), **model)
    trainer.fit(module, make_tasks(*KINDS, options={"mixing": "together"}))
    assert len(module.of_task("multi").labels) == 2
    module.load_state_dict(seen.weights)
    module.zero_grad()
    loss = 0.0
    for group in seen.batch.groups:
        for name, batch in group.items():
            scores = module.trunk.whole(module.of_task(name).network)(batch)
            loss = loss + weights.get(name, 1.0) * formulas[name](scores, batch.targets)
    loss.backward()
    assert seen.loss == pytest.approx(loss.item(), rel=1e-5)
    for name, parameter in module.encoder.named_parameters():
        torch.testing.assert_close(seen.found[name], parameter.grad, rtol=1e-4, atol=1e-7)


def test_uncertainty_weighs_by_the_formula(encoders, tmp_path):
    model = {"loss_weights": "uncertainty"}
    _, module, _ = fit(encoders("bert"), tmp_path, make_tasks("single", "score"), model=model)
    learned = dict(module.loss_weights.log_variances.items())
    assert learned.keys() == {"single_task", "score_task"}
    assert all(value.item() != 0 for value in learned.values())
    mean = torch.tensor(2.0)
    for kind, scale in (("single", 1.0), ("score", 0.5)):
        s, labels = learned[f"{kind}_task"].item(), module.of_task(kind).labels
        assert module.loss_weights(mean, kind, labels).item() == pytest.approx(scale * 2 * math.exp(-s) + s / 2)
    again = TrainedModule.load_from_checkpoint(tmp_path / "best.ckpt")
    assert again.loss_weights.log_variances["single_task"].item() == learned["single_task"].item()


@pytest.mark.parametrize("finetuning", [None, FineTuning(layer_decay=0.5)])
def test_what_is_learned_of_uncertainty_has_a_rate_of_its_own(finetuning, encoders, tmp_path):
    model = {"loss_weights": "uncertainty", "finetuning": finetuning}
    trainer, module, _ = fit(encoders("bert"), tmp_path, make_tasks("single", "score"), model=model)
    groups = trainer.optimizers[0].param_groups
    *others, own = groups
    assert own["params"] == list(module.loss_weights.log_variances.values())
    assert (own["initial_lr"], own["weight_decay"]) == (0.05, 0.0)
    assert max(group["initial_lr"] for group in others) == 1e-3
    moving = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(moving) == sorted(id(parameter) for parameter in module.parameters())


def test_class_weights_follow_from_the_counts_of_the_task(encoders, tmp_path):
    model = {"tasks": {"single": {"class_weights": "inverse"}, "tags": {"head": CRFHead()}}}
    _, module, _ = fit(encoders("bert"), tmp_path, make_tasks("single", "tags"), model=model)
    torch.testing.assert_close(module.of_task("single").loss.class_weights, torch.tensor([8 / 9, 8 / 9, 4 / 3]))
    assert load_artefact(tmp_path / "best" / "tags").network.head.brings_loss


def test_the_report_has_files_for_each_task_and_the_mean_in_all(encoders, tmp_path, capsys):
    _, module, _ = fit(encoders("bert"), tmp_path, make_tasks("single", "tags"))
    trainer = make_trainer(tmp_path, callbacks=[ClassReport(str(tmp_path))])
    trainer.test(module, make_tasks("single", "tags"), verbose=False)
    logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
    judged = [logged["test/single/f1_macro"], logged["test/tags/entity_f1"]]
    for name, other in (("single", "tags"), ("tags", "single")):
        numbers = json.loads((tmp_path / f"test_{name}_metrics.json").read_text())
        assert numbers["test/mean"] == pytest.approx(sum(judged) / 2)
        assert numbers[f"test/{name}/loss"] == pytest.approx(logged[f"test/{name}/loss"])
        assert not [key for key in numbers if key.startswith(f"test/{other}/")]
    assert capsys.readouterr().out.count("test/mean ") == 2


# ---------------------------------------------------------------------- texts that several tasks label


def test_joint_texts_are_encoded_once_for_all_of_their_tasks(encoders, tmp_path):
    _, _, steps = fit(encoders("bert"), tmp_path, intent_and_slots(), limit_val_batches=0)
    assert len(steps.calls) == len(steps.seen) == 2
    rows = [group for step in steps.seen for group in step]
    assert all(group["slots"] == group["intent"] for group in rows)
    assert sorted(row for group in rows for row in group["slots"]) == list(range(8))


def test_of_a_text_that_one_task_alone_labels_the_other_is_not_asked(encoders, tmp_path):
    _, _, steps = fit(encoders("bert"), tmp_path, intent_and_slots(first=5), limit_val_batches=0)
    rows = [group for step in steps.seen for group in step]
    both = [group["intent"] for group in rows if set(group) == {"slots", "intent"}]
    alone = [group["slots"] for group in rows if set(group) == {"slots"}]
    assert sorted(chain(*both)) == [0, 1, 2, 3, 4]
    assert sorted(chain(*alone)) == [5, 6, 7]


def test_a_joint_step_learns_what_the_tasks_would_one_after_the_other(encoders, tmp_path):
    model = {"encoder_options": NO_DROPOUT}
    options = {"max_steps": 1, "limit_val_batches": 0, "model": model}
    _, together, _ = fit(encoders("bert"), tmp_path / "joint", intent_and_slots(), **options)
    data = intent_and_slots(mixing="together")
    data.joint = False
    _, apart, steps = fit(encoders("bert"), tmp_path / "apart", data, **options)
    # both are of the same rows: one order for all streams of one seed
    assert [sorted(group) for group in steps.seen[0]] == [["slots"], ["intent"]]
    for name, value in together.state_dict().items():
        torch.testing.assert_close(apart.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_words_are_read_as_a_text_by_the_exports_too(encoders, tmp_path):
    fit(encoders("bert"), tmp_path, intent_and_slots())
    intent = load_classifier(tmp_path / "best" / "intent")
    given = [{"tokens": text.split()} for text in CORPUS]
    assert intent.predict(given) == intent.predict([{"tokens": text} for text in CORPUS])


# ---------------------------------------------------------------------- going on


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_tasks("single", "tags"),
        lambda: make_tasks("single", "tags", options={"mixing": {"single": 1, "tags": 3}}),
        lambda: make_tasks("multi", "score", options={"mixing": "together"}),
        lambda: intent_and_slots(first=5),
    ],
    ids=["size", "weights", "together", "joint"],
)
def test_it_goes_on_from_every_step(make, encoders, tmp_path):
    model = {"loss_weights": "uncertainty"}
    options = {"max_epochs": 2, "model": model}
    trainer, _, whole = fit(encoders("bert"), tmp_path / "whole", make(), save=True, **options)
    last = torch.load(tmp_path / "whole" / "last.ckpt", weights_only=True)
    logged = {name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    for step in range(1, len(whole.seen)):
        checkpoint = tmp_path / "whole" / f"step{step}.ckpt"
        again, _, rest = fit(encoders("bert"), tmp_path / str(step), make(), checkpoint, seed=5, **options)
        assert rest.seen == whole.seen[step:]
        found = torch.load(tmp_path / str(step) / "last.ckpt", weights_only=True)["state_dict"]
        assert all(torch.equal(value, last["state_dict"][name]) for name, value in found.items()), step
        for name, value in logged.items():
            assert again.callback_metrics[name].item() == pytest.approx(value, abs=0, nan_ok=True)


def test_a_checkpoint_brings_all_that_is_needed(encoders, tmp_path):
    _, module, _ = fit(encoders("bert"), tmp_path, make_tasks(*KINDS))
    again = MultiTaskClassifier.load_from_checkpoint(tmp_path / "best.ckpt")
    assert again.names == list(KINDS)
    first = make_trainer(tmp_path).test(module, make_tasks(*KINDS), verbose=False)
    second = make_trainer(tmp_path).test(again, make_tasks(*KINDS), verbose=False)
    assert len(first) == 4
    assert str(first) == str(second)  # NaN of what eight rows leave undefined included


def test_policies_reach_the_one_encoder(encoders, tmp_path):
    model = {"finetuning": FineTuning(freeze="encoder")}
    _, module, _ = fit(encoders("bert"), tmp_path, make_tasks("single", "tags"), model=model)
    moving = {name for name, value in module.named_parameters() if value.requires_grad}
    assert {name for name in moving if name.startswith("trunk")} == {
        "trunk.encoder.pooler.dense.weight",
        "trunk.encoder.pooler.dense.bias",
    }
    assert any(name.startswith("modules_by_task.tags_task") for name in moving)


def test_averaged_weights_are_what_is_validated_kept_and_exported(encoders, tmp_path):
    best = BestCheckpoint(mode="min")
    trainer = make_trainer(
        tmp_path, max_epochs=2, enable_checkpointing=True, callbacks=[best, EMAWeightAveraging(decay=0.9)]
    )
    module = MultiTaskClassifier(str(encoders("bert")), learning_rate=1e-2, monitor="val/single/loss")
    trainer.fit(module, make_tasks("single", "tags"))
    kept = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert any(not torch.equal(value, kept["current_model_state"][name]) for name, value in kept["state_dict"].items())
    again = MultiTaskClassifier.load_from_checkpoint(tmp_path / "best.ckpt")
    metrics = make_trainer(tmp_path).validate(again, make_tasks("single", "tags"), verbose=False)
    assert metrics[0]["val/single/loss"] == pytest.approx(best.best_model_score.item(), abs=1e-6)
    exported = load_artefact(tmp_path / "best" / "tags").network.state_dict()
    for name, value in again.artefacts().whole("tags").network.state_dict().items():
        assert torch.equal(exported[name], value), name


def test_a_fit_from_a_checkpoint_computes_attention_as_it_was_told(encoders, tmp_path):
    fit(encoders("bert"), tmp_path, make_tasks("single"), model={"attn_implementation": "eager"})
    again = MultiTaskClassifier.load_from_checkpoint(tmp_path / "best.ckpt")
    make_trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(again, make_tasks("single"))
    assert again.encoder.config._attn_implementation == "eager"
    assert again.encoder.encoder.layer[0].attention.self.config._attn_implementation == "eager"


def test_other_losses_and_heads(encoders, tmp_path):
    model = {"tasks": {"single": {"head": LinearHead(pooling="mean"), "loss": FocalLoss()}}}
    fit(encoders("distilbert"), tmp_path, make_tasks("single", "tags"), model=model)
    assert isinstance(load_artefact(tmp_path / "best" / "single").network.head, LinearHead)
