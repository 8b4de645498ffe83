"""Decisions: what they make of scores, and that they come back from where they are kept or are refused."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig

from lightning_clf import LabelSpace, load_classifier
from lightning_clf.artefact import load_artefact
from lightning_clf.checkpoint import read_checkpoint
from lightning_clf.decision import Choice, Decision, LabelSets, Scaling
from lightning_clf.heads import LinearHead
from lightning_clf.inference import Classifier
from lightning_clf.prediction import Prediction
from tests.calibration.synthetic import CASCADE
from tests.tiny import CORPUS
from tests.training import complaint, make_data, make_module, make_trainer

ONE = LabelSpace.of(["bad", "fine", "good"], "single")
MANY = LabelSpace.of(["fear", "joy"], "multi")
CHOICE = Choice("scaling", "temperature", "nll", 0.5, 0.4, 100)
FULL = Decision(Scaling(2.0), None, 0.4, LabelSets(0.9, 0.8), (CHOICE,), CASCADE)
THRESHOLDS = Decision(Scaling(scale=(1.0, 2.0), bias=(0.0, -1.0)), {"fear": 0.125, "joy": 0.75}, chosen_by=(CHOICE,))


def build(labels, encoder, strength=8, **options):
    torch.manual_seed(0)
    module = make_module(labels.kind, encoder, labels=labels.to_dict(), **options)
    module.columns, module.max_length = {"text": "text"}, 32
    module.build()
    for weight in module.network.parameters():
        weight.data.mul_(strength)
    return module


def test_probabilities_are_divided_before_they_are_probabilities():
    scores = torch.tensor([[2.0, -1.0, 0.5]])
    assert torch.equal(Decision().scaled(scores), scores)
    assert torch.equal(Decision(Scaling(2.0, in_weights=True)).scaled(scores), scores)
    assert Decision(Scaling(2.0)).scaled(scores).tolist() == [[1.0, -0.5, 0.25]]
    vector = Scaling(scale=(1.0, 2.0, 3.0), bias=(0.5, 0.0, -0.5))
    assert Decision(vector).scaled(scores).tolist() == [[2.5, -2.0, 1.0]]
    assert Decision(Scaling(2.0)).scaled(scores.bfloat16()).dtype == torch.float32


def test_a_row_no_surer_than_the_threshold_is_abstained_from_and_a_set_holds_what_is_likely_enough():
    probabilities = torch.tensor([[0.1, 0.4, 0.5], [0.25, 0.4, 0.35], [0.1, 0.1, 0.8]])
    decided = Decision(abstention=0.4, label_sets=LabelSets(0.9, 0.625)).decide(
        Prediction(probabilities.argmax(1), probabilities)
    )
    assert decided.abstained.tolist() == [False, True, False]
    assert decided.label_sets.tolist() == [[False, True, True], [False, True, False], [False, False, True]]
    assert decided.indices.tolist() == [2, 1, 2]


def test_thresholds_are_those_of_each_label():
    probabilities = torch.tensor([[0.125, 0.7], [0.1, 0.75]])
    decided = THRESHOLDS.decide(Prediction(torch.zeros(2, 2), probabilities))
    assert decided.indices.tolist() == [[1, 0], [0, 1]]


def test_what_has_no_probabilities_is_left():
    for prediction in (Prediction(scores=torch.zeros(2)), Prediction(torch.zeros(2, 3))):
        assert FULL.decide(prediction) is prediction


unit = st.floats(0, 1)
scalings = st.one_of(
    st.builds(Scaling, st.floats(1e-6, 1e6), in_weights=st.booleans()),
    st.integers(1, 4).flatmap(
        lambda n: st.builds(Scaling, scale=st.tuples(*[st.floats(-9, 9)] * n), bias=st.tuples(*[st.floats(-9, 9)] * n))
    ),
)
decisions = st.builds(
    Decision,
    st.none() | scalings,
    st.none() | st.dictionaries(st.text(), unit, max_size=3),
    st.none() | unit,
    st.none() | st.builds(LabelSets, st.floats(0.01, 1), unit),
    st.just(()) | st.tuples(st.builds(Choice, st.text(), st.text(), st.text(), unit, unit, st.integers(1))),
    st.none() | st.just(CASCADE),
)


@given(decisions)
def test_a_decision_comes_back_from_json(decision):
    assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision


@pytest.mark.parametrize(("stored", "said"), [
    ({"threshold": {}}, "the decision has a part 'threshold', which this version does not know"),
    ({"scaling": {"temperature": 1.0}}, "scaling holds temperature, not temperature, scale, bias, in_weights"),
    ({"scaling": None}, "scaling holds None, not temperature"),
    ({"scaling": Scaling().to_dict() | {"temperature": 0.0}}, "temperature is 0.0, which it cannot be"),
    ({"scaling": Scaling().to_dict() | {"temperature": "2"}}, "temperature is '2', which"),
    ({"scaling": Scaling().to_dict() | {"temperature": float("nan")}}, "temperature is nan"),
    ({"scaling": Scaling().to_dict() | {"temperature": True}}, "temperature is True"),
    ({"scaling": Scaling().to_dict() | {"scale": [1.0]}}, "scale has 1 numbers, and bias 0"),
    ({"scaling": Scaling().to_dict() | {"scale": 1.0}}, "scale is 1.0, not a list of numbers"),
    ({"scaling": Scaling().to_dict() | {"in_weights": 1}}, "in_weights is 1, not true or false"),
    ({"thresholds": [0.5]}, "thresholds is [0.5], not a mapping"),
    ({"thresholds": {"joy": 1.5}}, "the threshold of 'joy' is 1.5"),
    ({"abstention": -0.1}, "abstention is -0.1"),
    ({"abstention": "0.5"}, "abstention is '0.5'"),
    ({"label_sets": {"level": 0, "quantile": 0.5}}, "level is 0"),
    ({"chosen_by": {}}, "chosen_by is {}, not a list"),
    ({"chosen_by": [{}]}, "chosen_by holds nothing, not part, target"),
    ({"chosen_by": [CHOICE.to_dict() | {"rows": 0}]}, "rows is 0, not a whole number from 1 up"),
    ({"cascade": CASCADE.to_dict() | {"threshold": 2}}, "threshold is 2, which it cannot be"),
    ({"chosen_by": [CHOICE.to_dict() | {"metric": 1}]}, "metric is 1, not a string"),
])  # fmt: skip
def test_what_is_no_decision_is_refused(stored, said):
    with pytest.raises(ValueError, match="^" + said.replace("[", r"\[").replace("{", r"\{")):
        Decision.from_dict(stored)


@pytest.mark.parametrize(("decision", "labels"), [
    (Decision(Scaling(2.0)), LabelSpace.score(0, 5)),
    (Decision(Scaling(scale=(1.0,), bias=(0.0,))), ONE),
    (Decision(thresholds={"bad": 0.5, "fine": 0.5, "good": 0.5}), ONE),
    (Decision(thresholds={"joy": 0.5, "fear": 0.5}), MANY),
    (Decision(thresholds={"fear": 0.5}), MANY),
    (Decision(abstention=0.5), MANY),
    (Decision(cascade=CASCADE), LabelSpace.tags(["PER"], "IOB2")),
    (Decision(cascade=CASCADE), LabelSpace.score(0, 5)),
    (Decision(label_sets=LabelSets(0.9, 0.5)), LabelSpace.tags(["PER"], "IOB2")),
])  # fmt: skip
def test_a_decision_about_other_labels_is_refused(decision, labels):
    with pytest.raises(ValueError, match=r"\w"):
        decision.check(labels)


@pytest.mark.parametrize(("labels", "decision"), [(ONE, FULL), (MANY, THRESHOLDS), (ONE, Decision())])
def test_it_is_kept_in_exports_and_checkpoints(labels, decision, encoders, tmp_path):
    module = build(labels, encoders("bert"), strength=2, head=LinearHead())
    plain = Classifier(module.artefact).predict(CORPUS)
    module.network.set_decision(decision)
    decided = Classifier(module.artefact).predict(CORPUS)
    assert (decided == plain) == (decision == Decision())
    module.artefact.save(tmp_path / "best")
    trainer = make_trainer(tmp_path)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "one.ckpt", weights_only=True)
    stored = json.loads((tmp_path / "best" / "lightning_clf.json").read_text())
    assert stored.get("decision") == (json.loads(json.dumps(decision.to_dict())) or None)
    assert ("decision" in read_checkpoint(tmp_path / "one.ckpt")["lightning_clf"]["artefact"]) == bool(
        decision.to_dict()
    )
    for name in ("best", "one.ckpt"):
        assert load_artefact(tmp_path / name).decision == decision
        assert load_classifier(tmp_path / name).predict(CORPUS) == decided
    config = AutoConfig.from_pretrained(tmp_path / "best")
    assert getattr(config, "thresholds", None) == decision.thresholds


def test_answers_say_what_was_decided(encoders):
    module = build(ONE, encoders("bert"))
    (plain,) = Classifier(module.artefact).predict(CORPUS[:1])
    assert set(plain) == {"label", "probability", "probabilities"}
    module.network.set_decision(Decision(Scaling(2.0), abstention=1.0, label_sets=LabelSets(0.9, 1.0)))
    (answer,) = Classifier(module.artefact).predict(CORPUS[:1])
    assert answer["label"] == plain["label"]
    assert answer["probability"] < plain["probability"]
    assert (answer["abstained"], answer["label_set"]) == (True, ["bad", "fine", "good"])
    module.network.set_decision(Decision(abstention=0.0, label_sets=LabelSets(0.9, 0.0)))
    (answer,) = Classifier(module.artefact).predict(CORPUS[:1])
    assert (answer["abstained"], answer["label_set"]) == (False, [])


def test_scores_of_a_test_are_those_of_its_answers(encoders, tmp_path):
    module = build(MANY, encoders("bert"))
    module.network.set_decision(Decision(thresholds={"fear": 0.0, "joy": 1.0}))
    assert [answer["labels"] for answer in Classifier(module.artefact).predict(CORPUS)] == [["fear"]] * len(CORPUS)
    (scores,) = make_trainer(tmp_path).test(module, make_data("multi"), verbose=False)
    assert (scores["test/recall/fear"], scores["test/recall/joy"]) == (1, 0)


def test_thresholds_do_not_outlive_their_labels(encoders, tmp_path):
    module = build(MANY, encoders("bert"))
    module.network.set_decision(THRESHOLDS)
    module.artefact.save(tmp_path / "best")
    again = build(ONE, tmp_path / "best")
    assert not hasattr(again.network.config, "thresholds")
    module.network.set_decision(Decision())
    assert not hasattr(module.network.config, "thresholds")


def test_a_damaged_decision_is_told_with_its_folder(encoders, tmp_path):
    module = build(ONE, encoders("bert"))
    module.artefact.save(tmp_path / "best")
    file = tmp_path / "best" / "lightning_clf.json"
    stored = json.loads(file.read_text())
    for decision in ({"abstention": 2}, {"thresholds": {"joy": 0.5}}, None):
        file.write_text(json.dumps(stored | {"decision": decision}))
        message = complaint(lambda: load_artefact(tmp_path / "best"))
        assert message.startswith(f"export folder {tmp_path / 'best'} is damaged (")
