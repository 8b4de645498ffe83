"""A student in a fit: what its teacher is asked, what a step costs, and what comes out."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from lightning_clf import load_classifier
from lightning_clf.callbacks import BestCheckpoint
from lightning_clf.distillation.soft_loss import soft_loss
from lightning_clf.distillation.teacher import Teacher
from lightning_clf.modules import SingleLabelClassifier
from tests.students import TEMPERATURE, UNLABELLED, WEIGHT, fit, student
from tests.training import LABELS, NO_DROPOUT, ROWS, make_data, make_module, make_trainer

KINDS = ("single", "multi", "tags", "score")


class Asked:
    """How many batches any teacher was asked about."""

    def __init__(self, monkeypatch):
        self.count = 0
        original = Teacher.logits

        def counting(*arguments):
            self.count += 1
            return original(*arguments)

        monkeypatch.setattr(Teacher, "logits", counting)


@pytest.fixture
def asked(monkeypatch):
    return Asked(monkeypatch)


def expected_loss(module, kind, folder, path, unlabelled=()):
    """The loss of all rows, by the networks themselves and the terms of their own losses."""
    data = make_data(kind, batch_size=64, cache_dir=folder / "plain")
    data.tokenizer = module.tokenizer
    data.prepare_data()
    data.setup()
    (batch,) = data.train_dataloader()
    answers = load_classifier(path)
    with torch.no_grad():
        scores, soft = (network.eval()(batch) for network in (module.network, answers.network))
        hard = module.compute_loss(scores, batch).total.item()
    count = {"single": 8, "score": 8, "multi": 16}.get(kind)
    seen = slice(None)
    if kind == "tags":
        seen = batch.word_mask & (batch.words()[0] >= 0)
        count = int(seen.sum())
    apart = soft_loss(scores[seen], soft[seen], kind, TEMPERATURE).item()
    return ((1 - WEIGHT) * hard + WEIGHT * apart) / count


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_costs_what_the_formula_says_and_the_teacher_is_asked_once(kind, encoders, teacher, asked, tmp_path):
    path = teacher(kind)
    options = {"model": {"encoder_options": NO_DROPOUT, "learning_rate": 1e-30}}
    module = student(kind, encoders("bert"), str(path), **options)
    found = fit(tmp_path, module, kind)
    assert found == pytest.approx(expected_loss(module, kind, tmp_path, path), rel=1e-5)
    assert asked.count == 1
    again = fit(tmp_path, student(kind, encoders("bert"), str(path), **options), kind)
    assert again == found
    assert asked.count == 1
    fit(tmp_path, student(kind, encoders("bert"), str(path), **options), kind, rows=ROWS[kind][:6])
    assert asked.count == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_teacher_in_each_step_says_the_same(kind, encoders, teacher, asked, tmp_path):
    path = teacher(kind)
    options = {"model": {"encoder_options": NO_DROPOUT, "learning_rate": 1e-30}}
    known = fit(tmp_path, student(kind, encoders("bert"), str(path), **options), kind)
    following = student(kind, encoders("bert"), str(path), hidden_weight=1e-12, **options)
    assert fit(tmp_path, following, kind) == pytest.approx(known, rel=1e-5)
    assert asked.count == 2
    followed = {"hidden_weight": 2.0, "attention_weight": 3.0}
    assert fit(tmp_path, student(kind, encoders("bert"), str(path), **followed, **options), kind) > known + 1e-3
    # a student that is its teacher has nothing to learn of it
    same = student(kind, path, str(path), weight=1.0, **followed, **options)
    assert fit(tmp_path, same, kind) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_teacher_with_another_tokenizer_and_its_labels_in_another_order(kind, encoders, teacher, tmp_path):
    labels = LABELS[kind]
    if kind in ("single", "multi"):
        labels = type(labels).of(reversed(labels.names), kind)
    path = teacher(kind, "roberta", labels)
    module = student(kind, encoders("bert"), str(path), weight=1.0, model={"encoder_options": NO_DROPOUT})
    fit(tmp_path, module, kind, trainer={"max_steps": -1, "max_epochs": 1})
    classifier = load_classifier(path)
    batch = next(iter(module.datamodule.train_dataloader()))
    answers = classifier.predict([ROWS[kind][number] for number in batch.example_ids.tolist()])
    for line, answer in enumerate(answers):
        if kind == "score":
            assert batch.soft[line].clamp(0, 5).item() == pytest.approx(answer["score"], abs=1e-4)
        elif kind == "tags":
            tags = [LABELS[kind].names[index] for index in batch.soft[line].argmax(-1)[: len(answer["tags"])].tolist()]
            assert tags == answer["tags"]
        else:
            soft = batch.soft[line].sigmoid() if kind == "multi" else batch.soft[line].softmax(-1)
            named = dict(zip(LABELS[kind].names, soft.tolist(), strict=True))
            assert named == pytest.approx(answer["probabilities"], abs=1e-5)


def test_stock_models_checkpoints_and_files_teach_like_the_export(encoders, teacher, tmp_path):
    path = teacher("single")
    model = {"model": {"encoder_options": NO_DROPOUT, "learning_rate": 1e-30}}
    expected = fit(tmp_path, student("single", encoders("bert"), str(path), **model), "single")
    stock = tmp_path / "stock"
    shutil.copytree(path, stock)
    (stock / "lightning_clf.json").unlink()
    answers = load_classifier(path).predict(ROWS["single"])
    lines = [{**row, **answer} for row, answer in zip(ROWS["single"], answers, strict=True)]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    module = make_module("single", path, learning_rate=1e-30)
    make_trainer(tmp_path, callbacks=[BestCheckpoint(export=False)], enable_checkpointing=True).fit(
        module, make_data("single")
    )
    for name in (stock, tmp_path / "answers.jsonl", tmp_path / "best.ckpt", [str(path), str(stock)]):
        teachers = name if isinstance(name, list) else str(name)
        assert fit(tmp_path, student("single", encoders("bert"), teachers, **model), "single") == pytest.approx(
            expected, rel=1e-4
        ), name


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_labels_are_learned_of_the_teacher_alone(kind, encoders, teacher, tmp_path):
    model = {"model": {"encoder_options": NO_DROPOUT, "learning_rate": 1e-30}}
    path = str(teacher(kind))
    plain = fit(tmp_path, student(kind, encoders("bert"), path, **model), kind)
    module = student(kind, encoders("bert"), path, **model)
    found = fit(tmp_path, module, kind, unlabelled=UNLABELLED)
    data = module.datamodule
    assert data.num_train == len(ROWS[kind]) + len(UNLABELLED)
    assert data.class_counts == make_counts(kind, module)
    (batch,) = data.train_dataloader()
    assert (~batch.labelled).sum() == len(UNLABELLED)
    with torch.no_grad():
        scores = module.network.eval()(batch)
    places = ~batch.labelled
    if kind == "tags":
        places = places[:, None] & batch.word_mask & (batch.words()[0] >= 0)
    apart = WEIGHT * soft_loss(scores[places], batch.soft[places], kind, TEMPERATURE).item()
    count, more = {"multi": (16, 10)}.get(kind, (8, 5))
    if kind == "tags":
        count, more = words(module), int(places.sum())
    assert found == pytest.approx((plain * count + apart) / (count + more), rel=1e-5)


def make_counts(kind, module):
    data = make_data(kind)
    data.tokenizer = module.tokenizer
    data.prepare_data()
    data.setup()
    return data.class_counts


def words(module):
    data = make_data("tags", batch_size=64)
    data.tokenizer = module.tokenizer
    data.prepare_data()
    data.setup()
    (batch,) = data.val_dataloader()
    return int((batch.words()[0] >= 0).sum())


def test_a_batch_of_rows_without_labels_alone(encoders, teacher, tmp_path):
    for kind in KINDS:
        module = student(kind, encoders("bert"), str(teacher(kind)))
        loss = fit(tmp_path, module, kind, {"max_steps": -1, "max_epochs": 1}, unlabelled=UNLABELLED, batch_size=1)
        assert loss > 0
        assert all(torch.isfinite(weight).all() for weight in module.parameters())


def test_processes_that_collate_are_sent_answers_and_no_teacher(encoders, teacher, tmp_path):
    module = student("single", encoders("bert"), str(teacher("single")))
    fit(tmp_path, module, "single")
    (batch,) = module.datamodule.train_dataloader()
    again = pickle.loads(pickle.dumps(module.datamodule.train_dataloader().collate_fn.beside))
    assert torch.equal(again(replace(batch, soft=None)).soft, batch.soft)
    module = student("single", encoders("bert"), str(teacher("single")), hidden_weight=1.0)
    fit(tmp_path, module, "single")
    pickle.dumps(module.datamodule.train_dataloader().collate_fn)


class Save(Callback):
    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.save_checkpoint(self.folder / f"step{trainer.global_step}.ckpt")


@pytest.mark.parametrize("following", [False, True])
def test_a_run_goes_on_and_its_checkpoints_need_no_teacher(following, encoders, teacher, asked, tmp_path):
    path = tmp_path / "teacher"
    shutil.copytree(teacher("single"), path)
    options = {"hidden_weight": 0.5} if following else {}

    def run(folder, checkpoint=None, seed=0):
        seed_everything(seed, verbose=False)
        module = student(
            "single", encoders("bert"), str(path), model={"encoder_layers": 1, "learning_rate": 1e-3}, **options
        )
        folder.mkdir()
        data = make_data("single", unlabelled=UNLABELLED, cache_dir=tmp_path / "cache")
        seed_everything(seed, verbose=False)
        make_trainer(folder, max_epochs=2, callbacks=[Save(folder)]).fit(module, data, ckpt_path=checkpoint)
        return module

    whole = run(tmp_path / "whole").state_dict()
    for step in (1, 5):
        rest = run(tmp_path / str(step), tmp_path / "whole" / f"step{step}.ckpt", seed=7).state_dict()
        assert [name for name in whole if not torch.equal(whole[name], rest[name])] == []
    assert following or asked.count == 2  # 13 rows, of which a batch of evaluation holds 8
    shutil.rmtree(path)
    loaded = SingleLabelClassifier.load_from_checkpoint(str(tmp_path / "whole" / "step8.ckpt"))
    assert not any("teacher" in name or "following" in name for name in loaded.state_dict())
    loaded.export(tmp_path / "export")
    stock = AutoModelForSequenceClassification.from_pretrained(tmp_path / "export")
    assert stock.config.num_hidden_layers == 1
    make_trainer(tmp_path).test(loaded, make_data("single"), verbose=False)


def test_a_wider_teacher_is_followed_through_a_projection_that_is_not_kept(encoders, tmp_path):
    shutil.copytree(encoders("bert"), tmp_path / "wide")  # with the tokenizer, which is trained anew each time
    config = AutoConfig.from_pretrained(encoders("bert"), hidden_size=24)
    AutoModel.from_config(config).save_pretrained(tmp_path / "wide")
    wide = make_module("single", tmp_path / "wide", labels=LABELS["single"].to_dict())
    wide.build()
    wide.export(tmp_path / "teacher")
    module = student("single", encoders("bert"), str(tmp_path / "teacher"), hidden_weight=1.0)
    options = {"max_steps": 2, "max_epochs": 2}
    fit(tmp_path, module, "single", {"callbacks": [Save(tmp_path)], **options})
    name = "following.projection.weight"
    stored = torch.load(tmp_path / "step1.ckpt", weights_only=True)["state_dict"]
    assert stored[name].shape == (24, 16)
    assert name in dict(module.named_parameters())
    loaded = SingleLabelClassifier.load_from_checkpoint(str(tmp_path / "step1.ckpt"))
    assert not hasattr(loaded, "following")
    again = student("single", encoders("bert"), str(tmp_path / "teacher"), hidden_weight=1.0)
    data = make_data("single", batch_size=64, cache_dir=tmp_path / "cache")
    make_trainer(tmp_path, **options).fit(again, data, ckpt_path=tmp_path / "step1.ckpt")
    assert torch.equal(again.state_dict()[name], module.state_dict()[name])
    assert not torch.equal(module.state_dict()[name], stored[name])
