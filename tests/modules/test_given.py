"""What a module is given in Python: values of other types than a configuration has."""

from __future__ import annotations

import reprlib

import numpy as np
import pytest
import torch

from lightning_clf import LabelSpace, MultiTaskClassifier, SingleLabelClassifier
from lightning_clf.finetuning import FineTuning
from lightning_clf.heads import LinearHead
from lightning_clf.losses import CrossEntropyLoss
from tests.training import complaint, make_data, make_trainer


@pytest.mark.parametrize(
    ("labels", "what"), [(LabelSpace.of(["a", "b"], "single"), "a LabelSpace"), (["a", "b"], "a list")]
)
def test_labels_that_are_no_mapping(labels, what):
    assert complaint(lambda: SingleLabelClassifier("encoder", labels=labels)) == (
        f"labels {reprlib.repr(labels)} are not what LabelSpace.to_dict writes ({what}): leave them out to take those "
        "of the data, or give LabelSpace.of(names, kind).to_dict()"
    )


@pytest.mark.parametrize(("key", "part"), [("head", LinearHead), ("loss", CrossEntropyLoss)])
def test_a_class_in_the_place_of_a_part(key, part):
    assert complaint(lambda: SingleLabelClassifier("encoder", **{key: part})) == (
        f"lightning_clf.modules.single_label.SingleLabelClassifier({key}=…) is a class, {part.__name__}: give what it "
        f"makes, as in {part.__name__}()"
    )


def test_paths_and_numbers_of_numpy_are_kept_as_plain_ones(encoders, tmp_path):
    module = SingleLabelClassifier(
        encoders("bert"),
        learning_rate=np.float32(0.5),
        weight_decay=np.float64(0.25),
        warmup_ratio=np.float32(0.5),
        finetuning=FineTuning(layer_decay=np.float64(0.5), head_learning_rate=np.float32(0.25)),
    )
    data = make_data("single", batch_size=np.int64(4), seed=np.int64(1), max_length=np.int64(32))
    trainer = make_trainer(tmp_path)
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    given = torch.load(tmp_path / "one.ckpt", weights_only=True)["lightning_clf"]["module"]["init_args"]
    assert (given["encoder"], given["learning_rate"], given["warmup_ratio"]) == (str(encoders("bert")), 0.5, 0.5)
    again = SingleLabelClassifier.load_from_checkpoint(str(tmp_path / "one.ckpt"))
    going_on = make_trainer(tmp_path, max_epochs=2)
    going_on.fit(again, data, ckpt_path=tmp_path / "one.ckpt")
    assert going_on.global_step == 2 * trainer.global_step


def test_several_tasks_take_a_path(encoders):
    assert MultiTaskClassifier(encoders("bert")).spec()["init_args"] == {"encoder": str(encoders("bert"))}
