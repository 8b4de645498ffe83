"""A whole calibration: read with the checks of training, chosen, folded, written, and answered by."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import f1_score
from transformers import pipeline

from lightning_clf import LabelSpace, load_classifier
from lightning_clf.calibration import Target, Wanted, choose
from lightning_clf.decision import Decision, Scaling
from lightning_clf.encoding import Collator
from lightning_clf.heads import CRFHead, LinearHead, OrdinalHead, SpanHead
from lightning_clf.inference import Classifier, calibrate
from lightning_clf.inference.held_out import read_held_out
from tests.calibration.synthetic import of_many, of_one
from tests.tiny import CORPUS
from tests.training import complaint, make_module

LABELS = {
    "single": LabelSpace.of(["bad", "fine", "good"], "single"),
    "multi": LabelSpace.of(["fear", "joy"], "multi"),
    "tags": LabelSpace.tags(["LOC", "PER"], "IOB2"),
    "words": LabelSpace.tags(["DT", "NN", "VB"], "none"),
    "score": LabelSpace.score(0, 5),
}
COLUMNS = {"tags": {"tokens": "tokens"}, "words": {"tokens": "tokens"}}


def texts(count: int = 60) -> list[str]:
    """Texts of the tiny corpus's words, all different."""
    words = " ".join(CORPUS).split()
    return [" ".join(words[(7 * i + 3 * j) % len(words)] for j in range(2 + i % 9)) + f" {i}" for i in range(count)]


def rows_of(kind: str) -> list[dict]:
    """Rows with answers that have little to do with them."""
    names = LABELS[kind].names
    match kind:
        case "single":
            return [{"text": text, "label": names[len(text) % 3]} for text in texts()]
        case "multi":
            return [{"text": t, "labels": [n for c, n in enumerate(names) if (len(t) >> c) % 2]} for t in texts()]
        case "tags":
            cycle = ("O", "B-PER", "I-PER", "B-LOC", "O")
            return [{"tokens": t.split(), "tags": [cycle[i % 5] for i, _ in enumerate(t.split())]} for t in texts()]
        case "words":
            return [{"tokens": t.split(), "tags": [names[len(w) % 3] for w in t.split()]} for t in texts()]
    return [{"text": text, "score": len(text) % 5} for text in texts()]


@pytest.fixture
def model(encoders, tmp_path):
    """Writes an untrained model of a kind, and rows for it; returns the names of both."""

    def make(kind, head=None):
        torch.manual_seed(3)
        options = {} if head is None else {"head": head}
        module = make_module(LABELS[kind].kind, encoders("bert"), labels=LABELS[kind].to_dict(), **options)
        module.columns, module.max_length = COLUMNS.get(kind, {"text": "text"}), 12
        module.build()
        for weight in module.network.parameters():
            weight.data.mul_(10)
        module.artefact.save(tmp_path / "best")
        return str(tmp_path / "best"), write(tmp_path / "dev.jsonl", rows_of(kind))

    return make


def write(path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("kind", ["single", "multi", "tags", "words"])
def test_what_is_scored_is_what_training_would_see(kind, model):
    folder, file = model(kind)
    classifier, rows = load_classifier(folder), rows_of(kind)
    logits, targets = read_held_out(classifier, file, {}, batch_size=7)
    expected = []
    for row in rows:
        read = classifier.inputs.read(row, "")
        batch = Collator(classifier.artefact.tokenizer, classifier.labels)(classifier.inputs.encode([read]))
        with torch.inference_mode():
            (scores,) = classifier.network(batch)
        names = LABELS[kind].names
        if LABELS[kind].kind == "tags":
            seen = batch.first_subword[0] >= 0
            words = zip(
                scores[seen], [names.index(tag) for tag, s in zip(row["tags"], seen, strict=True) if s], strict=True
            )
            expected += [(score.tolist(), right) for score, right in words]
        elif kind == "multi":
            expected.append((scores.tolist(), [name in row["labels"] for name in names]))
        else:
            expected.append((scores.tolist(), names.index(row["label"])))
    if LABELS[kind].kind == "tags":
        assert len(expected) < sum(len(row["tags"]) for row in rows)  # the window cuts some
    for scores, right in zip(logits.tolist(), targets.tolist(), strict=True):  # in another order
        expected.remove(next(one for one in expected if one[1] == right and one[0] == pytest.approx(scores, abs=1e-4)))
    assert expected == []


def mostly_right(folder: str, file: str) -> str:
    """The same rows with labels of which two in three are what the model answers."""
    rows, names = rows_of("single"), LABELS["single"].names
    for place, (row, answer) in enumerate(zip(rows, load_classifier(folder).predict(rows), strict=True)):
        row["label"] = answer["label"] if place % 3 else names[place % 2]
    return write(Path(file), rows)


def test_one_label_is_calibrated_for_stock_transformers_too(model, tmp_path):
    folder, file = model("single")
    mostly_right(folder, file)
    outcome = calibrate(folder, file, str(tmp_path / "new"), Wanted())
    temperature = outcome.decision.scaling.temperature
    assert outcome.decision.scaling == Scaling(temperature, in_weights=True)
    assert outcome.after.nll < outcome.before.nll
    assert (outcome.rows, outcome.unseen, outcome.remarks) == (60, False, [])
    (choice,) = outcome.decision.chosen_by
    assert (choice.before, choice.after) == pytest.approx((outcome.before.nll, outcome.after.nll), abs=1e-12)
    short = ["a great joy", "so happy", "nobody", "Paris", "a dull story"]  # a pipeline does not cut what is long
    before, after = (load_classifier(path).predict(short) for path in (folder, tmp_path / "new"))
    stock = pipeline("text-classification", model=str(tmp_path / "new"), top_k=None)
    for text, one, other in zip(short, before, after, strict=True):
        wanted = (torch.tensor([*one["probabilities"].values()]).double().log() / temperature).softmax(0)
        assert [*other["probabilities"].values()] == pytest.approx(wanted.tolist(), abs=2e-4)  # answers have 6 digits
        assert other["label"] == one["label"]
        found = {item["label"]: item["score"] for item in stock([text])[0]}
        assert found == pytest.approx(other["probabilities"], abs=2e-6)


def test_a_head_of_our_own_is_calibrated_beside_its_weights(model, tmp_path):
    folder, file = model("single", LinearHead())
    outcome = calibrate(folder, file, str(tmp_path / "new"), Wanted("vector"))
    assert not outcome.decision.scaling.in_weights
    old, new = (load_file(tmp_path / name / "head.safetensors") for name in ("best", "new"))
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert load_classifier(tmp_path / "new").artefact.decision == outcome.decision
    again = calibrate(str(tmp_path / "new"), file, str(tmp_path / "again"), Wanted("vector"))
    assert again.decision.scaling.scale == pytest.approx(outcome.decision.scaling.scale, rel=1e-6)


@pytest.mark.parametrize("kind", ["tags", "words"])
def test_words_are_calibrated(kind, model, tmp_path):
    folder, file = model(kind)
    outcome = calibrate(folder, file, str(tmp_path / "new"), Wanted("vector"))
    assert outcome.after.nll < outcome.before.nll
    assert outcome.unit == "words"
    assert outcome.rows == outcome.decision.chosen_by[0].rows > 60
    (answer,) = load_classifier(tmp_path / "new").predict(["Anna sleeps"])
    assert len(answer["tags"]) == 2


def test_thresholds_are_answered_by(model, tmp_path):
    folder, file = model("multi")
    outcome = calibrate(folder, file, str(tmp_path / "new"), Wanted(thresholds=Target("f1")))
    answers = load_classifier(tmp_path / "new").predict(rows_of("multi"))
    thresholds = outcome.decision.thresholds
    for answer in answers:
        assert answer["labels"] == [name for name, p in answer["probabilities"].items() if p >= thresholds[name]]
    names = LABELS["multi"].names
    truth, chosen = (
        [[name in row["labels"] for name in names] for row in rows] for rows in (rows_of("multi"), answers)
    )
    choice = outcome.decision.chosen_by[-1]
    assert (choice.part, choice.target, choice.metric, choice.rows) == ("thresholds", "f1", "f1_macro", 60)
    assert choice.after == pytest.approx(f1_score(truth, chosen, average="macro"), abs=1e-9)
    assert choice.after >= choice.before
    assert json.loads((tmp_path / "new" / "config.json").read_text())["thresholds"] == thresholds


def test_abstention_and_label_sets_are_answered_by(model, tmp_path):
    folder, file = model("single")
    wanted = Wanted("none", coverage=0.7, level=0.8)
    outcome = calibrate(folder, file, str(tmp_path / "new"), wanted)
    answers = load_classifier(tmp_path / "new").predict(rows_of("single"))
    assert sum(not answer["abstained"] for answer in answers) == 42
    held = [row["label"] in answer["label_set"] for row, answer in zip(rows_of("single"), answers, strict=True)]
    assert sum(held) >= 48
    by_name = {(choice.part, choice.metric): choice for choice in outcome.decision.chosen_by}
    assert by_name["label_sets", "coverage"].after == pytest.approx(sum(held) / 60, abs=1 / 60 + 1e-9)
    assert by_name["label_sets", "size"].after == pytest.approx(
        sum(len(answer["label_set"]) for answer in answers) / 60, abs=1 / 60 + 1e-9
    )
    assert by_name["abstention", "coverage"].after == 0.7


def test_what_a_promise_rests_on_is_not_what_the_scaling_was_fitted_to():
    logits, targets = of_one(2001)
    wanted = Wanted(max_risk=0.2, level=0.9)
    outcome = choose(LabelSpace.of("abcd", "single"), logits, targets, wanted)
    assert (outcome.unseen, outcome.rows) == (True, 1001)
    assert {choice.part: choice.rows for choice in outcome.decision.chosen_by} == {
        "scaling": 1000, "abstention": 1001, "label_sets": 1001,
    }  # fmt: skip
    by_name = {(choice.part, choice.metric): choice for choice in outcome.decision.chosen_by}
    assert by_name["abstention", "risk"].after < 0.2 < by_name["abstention", "risk"].before
    assert by_name["label_sets", "coverage"].after == pytest.approx(0.9, abs=0.002)
    assert outcome.after.ece < outcome.before.ece / 3
    alone = choose(LabelSpace.of("abcd", "single"), logits, targets, replace(wanted, method="none"))
    assert (alone.unseen, alone.rows) == (False, 2001)


def test_what_rows_do_not_tell_is_remarked():
    labels = LabelSpace.of("abc", "multi")
    logits, right = of_many(50)
    right[:, 1] = False
    outcome = choose(labels, logits, right, Wanted(thresholds=Target("precision", 1.0)))
    assert outcome.decision.thresholds["b"] == 0.5
    assert "no row has the label 'b': the threshold stays 0.5" in outcome.remarks
    one = LabelSpace.of("ab", "single")
    outcome = choose(one, torch.tensor([[2.0, 1.0]]), torch.tensor([0]), Wanted(level=0.9))
    assert outcome.decision.scaling is None
    assert outcome.decision.label_sets.quantile == 1
    assert "the rows do not tell a temperature" in outcome.remarks[0]
    assert outcome.remarks[1] == "too few rows (1) for sets that are right 0.9 of the time: they hold all labels"


@pytest.mark.parametrize(("kind", "wanted", "said"), [
    ("score", Wanted(), "the model answers with scores, which have no probabilities"),
    ("single", Wanted(thresholds=Target("f1")), "thresholds are for any number of labels, and this model has kind si"),
    ("multi", Wanted(coverage=0.9), "abstention and label sets are for one label a text, and this model has kind mul"),
    ("tags", Wanted(level=0.9), "abstention and label sets are for one label a text, and this model has kind tags"),
    ("single", Wanted("none"), "nothing is to be calibrated"),
    ("single", Wanted(max_risk=0.1, coverage=0.9), "a risk and a coverage cannot both be kept"),
    ("single", Wanted(max_risk=1.0), "the risk is 1: give a share above 0 and below 1"),
    ("single", Wanted(level=1.0), "the level is 1: give"),
    ("single", Wanted(max_risk=0.001), "no confidence keeps the risk at 0.001, as far as 30 rows can tell"),
])  # fmt: skip
def test_what_cannot_be_had(kind, wanted, said, model, tmp_path):
    folder, file = model(kind)
    assert complaint(lambda: calibrate(folder, file, str(tmp_path / "new"), wanted)).startswith(said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "dev.jsonl"]


@pytest.mark.parametrize(
    ("kind", "head"),
    [("tags", CRFHead()), ("tags", SpanHead()), ("single", OrdinalHead())],
    ids=["crf", "span", "ordinal"],
)
def test_heads_whose_scores_are_no_logits(kind, head, model, tmp_path):
    folder, file = model(kind, head)
    message = complaint(lambda: calibrate(folder, file, str(tmp_path / "new"), Wanted()))
    assert message.startswith(f"{type(head).__name__} makes its answers of scores that are no logits of single labels")


def test_a_scaling_is_not_lost_where_another_follows(model, tmp_path):
    folder, file = model("single")
    mostly_right(folder, file)
    first = calibrate(folder, file, str(tmp_path / "one"), Wanted())
    second = calibrate(str(tmp_path / "one"), file, str(tmp_path / "two"), Wanted(level=0.8))
    assert second.decision.scaling.temperature == pytest.approx(1, abs=0.5)
    third = calibrate(str(tmp_path / "one"), file, str(tmp_path / "three"), Wanted())
    assert third.decision.scaling.temperature == pytest.approx(1, abs=1e-4)
    assert third.after.nll == pytest.approx(first.after.nll, abs=1e-6)


def test_a_decision_is_that_of_the_model_in_python_too(model):
    folder, _ = model("multi")
    classifier = load_classifier(folder)
    classifier.network.set_decision(Decision(thresholds={"fear": 0.0, "joy": 0.0}))
    assert Classifier(classifier.artefact).predict(["a"])[0]["labels"] == ["fear", "joy"]
