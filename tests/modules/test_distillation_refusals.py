"""What a student and its teacher do not go with, each said in one line before training."""

from __future__ import annotations

import json
import shutil

from torch import nn

from lightning_clf.data import UnderSampling
from lightning_clf.distillation import Distillation
from lightning_clf.heads import CRFHead
from lightning_clf.modules import SetFitClassifier
from tests.students import UNLABELLED, fit, student
from tests.training import LABELS, complaint, make_module


def test_a_teacher_that_is_no_name(encoders):
    for teacher in (nn.Linear(2, 2), ["teacher", nn.Linear(2, 2)]):
        assert complaint(lambda teacher=teacher: Distillation(teacher)) == (
            "model.distillation.teacher is a Linear, and no name of a folder, a file or a hub id: write a model and "
            "its tokenizer to a folder with save_pretrained, and name that"
        )


def test_what_does_not_go_together(encoders, teacher, tmp_path):
    path, encoder = str(teacher("single")), encoders("bert")

    def said(kind="single", teachers=path, module=None, data=None, **options):
        model = module or student(kind, encoder, teachers, **options)
        return complaint(lambda: fit(tmp_path, model, kind, **(data or {})))

    assert "has labels of kind tags, and the data's are of kind single" in said(teachers=str(teacher("tags")))
    others = teacher("single", labels=type(LABELS["single"]).of(["bad", "good", "so"], "single"))
    assert "has the labels bad, good, so, and the data have bad, fine, good: a student" in said(teachers=str(others))
    assert "model.distillation.teacher" in said(teachers="nowhere/at/all")
    assert "holds no trained AutoModelForSequenceClassification" in said(teachers=str(bare(encoder, tmp_path)))
    assert "has another tokenizer than the student" in said(
        teachers=str(teacher("single", "roberta")), hidden_weight=1.0
    )
    assert "data.sampling draws rows by their labels" in said(
        data={"unlabelled": UNLABELLED, "sampling": UnderSampling(factors={"bad": 0.5})}
    )
    assert "data.unlabelled is learned of a teacher alone, and there is none" in said(
        module=make_module("single", encoder), data={"unlabelled": UNLABELLED}
    )
    assert "correct data.unlabelled" in said(data={"unlabelled": "no.jsonl"})
    assert "compares logits of labels, but those of CRFHead are none" in complaint(
        lambda: student("tags", encoder, path, model={"head": CRFHead()})
    )
    assert "model.r_drop draws passes together" in complaint(
        lambda: student("single", encoder, path, model={"r_drop": 1.0})
    )
    assert "look into the encoder as it stands" in complaint(
        lambda: student("single", encoder, path, hidden_weight=1.0, model={"packed": True})
    )
    assert "SetFitClassifier learns from pairs" in complaint(
        lambda: SetFitClassifier(str(encoder), distillation=Distillation(path))
    )
    assert "are of the layers of one model" in complaint(lambda: Distillation([path, path], hidden_weight=1.0))
    assert "are of the layers of one model" in complaint(lambda: Distillation("a.jsonl", attention_weight=1.0))
    assert "empty list" in complaint(lambda: Distillation([]))
    for key, value in {"temperature": 0.0, "weight": 1.5, "hidden_weight": -1.0, "attention_weight": -1.0}.items():
        assert f"model.distillation.{key} is" in complaint(
            lambda key=key, value=value: Distillation(path, **{key: value})
        )


def bare(encoder, folder):
    """The encoder under the labels of the data, without a head."""
    target = folder / "bare"
    shutil.copytree(encoder, target)
    config = json.loads((target / "config.json").read_text())
    names = LABELS["single"].names
    config |= {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    (target / "config.json").write_text(json.dumps(config))
    return target
