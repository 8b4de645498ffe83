"""Heads with a structure of their own, through training, checkpoint, export and prediction."""

from __future__ import annotations

import itertools

import pytest
import torch

from lightning_clf import LabelSpace, load_classifier
from lightning_clf.heads import CRFHead, LabelAttentionHead, SpanHead
from lightning_clf.inference import Classifier
from lightning_clf.losses import CrossEntropyLoss
from lightning_clf.modules import ClassifierModule
from lightning_clf.schemes import check_tags
from tests.heads.batches import check_legal
from tests.training import NO_DROPOUT, ROWS, complaint, make_data, make_module, make_trainer

HEADS = {
    "crf": ("tags", lambda: CRFHead(dropout=0.0), {}),
    "crf of BIOES": ("tags", lambda: CRFHead("mean", dropout=0.0), {"model_scheme": "BIOES"}),
    "span": ("tags", lambda: SpanHead(dropout=0.0, max_width=3), {}),
    "span of BIOES": ("tags", lambda: SpanHead("max", 0.0), {"model_scheme": "BIOES"}),
    "label attention": ("multi", lambda: LabelAttentionHead(dropout=0.0), {}),
    "label attention for one": ("single", lambda: LabelAttentionHead(dropout=0.0), {}),
}
MONITORS = {"tags": "val/entity_f1", "multi": "val/f1_macro", "single": "val/f1_macro"}


@pytest.fixture(scope="module", params=HEADS)
def fitted(request, encoders, tmp_path_factory):
    """A module that has learned the tiny corpus by heart, its trainer and its checkpoint."""
    kind, head, options = HEADS[request.param]
    folder = tmp_path_factory.mktemp("heads")
    torch.manual_seed(1)
    module = make_module(kind, encoders("bert"), head=head(), encoder_options=NO_DROPOUT, learning_rate=1e-2)
    trainer = make_trainer(folder, max_epochs=50, limit_val_batches=0)
    trainer.fit(module, make_data(kind, **options))
    trainer.save_checkpoint(folder / "head.ckpt")
    return module, trainer, folder / "head.ckpt"


def inputs(module: ClassifierModule) -> list[dict]:
    return [{key: row[key] for key in ("tokens", "text") if key in row} for row in ROWS[module.kind]]


def test_it_learns(fitted):
    module, trainer, _ = fitted
    (numbers,) = trainer.test(module, trainer.datamodule, verbose=False)
    assert numbers[MONITORS[module.kind].replace("val", "test")] > 0.9
    assert 0 <= numbers["test/loss"] < 0.3


def test_a_checkpoint_and_an_export_answer_alike(fitted, tmp_path):
    module, _, path = fitted
    module.artefact.save(tmp_path / "export")
    expected = Classifier(module.artefact).predict(inputs(module))
    assert load_classifier(path).predict(inputs(module)) == expected
    assert load_classifier(tmp_path / "export").predict(inputs(module)) == expected
    restored = type(module).load_from_checkpoint(str(path))
    assert restored.head_spec == module.head_spec
    torch.testing.assert_close(restored.state_dict(), module.state_dict(), atol=0, rtol=0)


def test_padding_changes_no_answer(fitted):
    module, _, _ = fitted
    classifier = Classifier(module.artefact)
    together = classifier.predict(inputs(module), batch_size=8)
    for row, expected in zip(inputs(module), together, strict=True):
        (alone,) = classifier.predict([row])
        assert alone.keys() == expected.keys()
        for key in alone.keys() - {"probability", "probabilities"}:
            assert alone[key] == expected[key]


def test_answers_of_tags_are_legal_beyond_the_window(fitted):
    module, trainer, _ = fitted
    if module.kind != "tags":
        pytest.skip("texts have no words")
    rows = [{"tokens": ["Anna", "\ufe0f", "Berg"] * 20}, {"tokens": ["\ufe0f"]}, {"tokens": ["Anna", "Berg", "left"]}]
    answers = Classifier(module.artefact).predict(rows)
    for answer, row in zip(answers, rows, strict=True):
        assert len(answer["tags"]) == len(row["tokens"])
        check_tags(answer["tags"], module.labels.scheme)
    assert answers[0]["tags"][1] == "O"
    assert answers[0]["tags"][-1] == "O"  # beyond the window of 32 subwords
    assert answers[1] == {"tokens": ["\ufe0f"], "tags": ["O"], "entities": []} | (
        {"probabilities": [None]} if isinstance(module.network.head, CRFHead) else {}
    )
    assert ("probabilities" in answers[2]) == isinstance(module.network.head, CRFHead)
    batch = next(iter(trainer.datamodule.val_dataloader()))
    check_legal(module.labels, module.network.predict(batch).indices, batch)


@pytest.mark.parametrize("name", ["crf", "span"])
def test_accumulated_batches_are_one(name, encoders, tmp_path):
    weights = []
    for size, accumulated in ((8, 1), (2, 4)):
        torch.manual_seed(0)
        module = make_module(
            "tags", encoders("bert"), head=HEADS[name][1](), encoder_options=NO_DROPOUT, learning_rate=1e-3,
            warmup_ratio=0.0,
        )  # fmt: skip
        trainer = make_trainer(tmp_path, accumulate_grad_batches=accumulated, limit_val_batches=0)
        trainer.fit(module, make_data("tags", batch_size=size, group_by_length=False))
        weights.append(module.network.head.state_dict())
    torch.testing.assert_close(*weights, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize(("name", "precision"), itertools.product(["crf", "span"], ["bf16-mixed", "bf16-true"]))
def test_low_precision(name, precision, encoders, tmp_path):
    module = make_module("tags", encoders("bert"), head=HEADS[name][1](), learning_rate=1e-3)
    trainer = make_trainer(tmp_path, precision=precision)
    trainer.fit(module, make_data("tags"))
    (numbers,) = trainer.test(module, trainer.datamodule, verbose=False)
    assert 0 < numbers["test/loss"] < 10
    assert all(parameter.isfinite().all() for parameter in module.parameters())


@pytest.mark.parametrize("head", [CRFHead, SpanHead])
def test_what_does_not_go_with_a_loss_of_its_own(head, encoders):
    assert "brings its own loss" in complaint(
        lambda: make_module("tags", "encoder", head=head(), loss=CrossEntropyLoss())
    )
    assert "r_drop" in complaint(lambda: make_module("tags", "encoder", head=head(), r_drop=1.0))
    message = complaint(lambda: make_module("single", "encoder", head=head()))
    assert message.startswith(f"model.head {head.__name__} fits labels of kind tags")
    message = complaint(lambda: make_module("tags", "encoder", head=head(), train_continuations=True))
    assert message.startswith("model.train_continuations trains subwords, but the loss that model.head brings is one")
    pooling = make_module("tags", encoders("bert"), head=head(pooling="cls"), labels=LABELS)
    assert "does not pool words" in complaint(pooling.build)


LABELS = LabelSpace.tags(["LOC", "PER"], "IOB2").to_dict()
