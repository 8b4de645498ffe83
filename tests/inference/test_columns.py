"""What stands beside an answer, and the columns of tables, which follow from the labels."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lightning_clf.decision import Decision, LabelSets
from lightning_clf.inference import files, predict_file
from lightning_clf.inference.columns import Carried, answer_columns, flat
from tests.inference.conftest import LABELS
from tests.inference.echo import ROWS, read_jsonl, write_jsonl
from tests.inference.test_classifier import rows
from tests.training import complaint


@pytest.mark.parametrize("name", LABELS)
def test_every_answer_fits_the_columns_of_its_labels(name, classifier):
    model = classifier(name)
    columns = answer_columns(model.labels, model.artefact.decision)
    for answer in model.predict(rows(name)):
        cells = flat(answer)
        assert list(cells) == list(columns)
        for column, value in cells.items():
            written = pa.array([value], columns[column]).to_pylist()[0]
            if column != "entities":
                assert written == value
            else:
                assert [{key: part for key, part in one.items() if part is not None} for one in written] == value


SCORE = answer_columns(LABELS["score"], Decision())


def test_columns_of_each_kind():
    assert answer_columns(LABELS["single"], Decision()) == {
        "label": pa.string(), "probability": pa.float64(),
        **{f"probability/{name}": pa.float64() for name in ("bad", "fine", "good")},
    }  # fmt: skip
    assert list(answer_columns(LABELS["multi"], Decision())) == ["labels", "probability/fear", "probability/joy"]
    assert list(answer_columns(LABELS["words"], Decision())) == ["tokens", "tags", "probabilities"]
    assert answer_columns(LABELS["score"], Decision()) == {"score": pa.float64()}


def test_columns_of_what_was_decided(classifier):
    model = classifier("single")
    decision = Decision(abstention=0.5, label_sets=LabelSets(level=0.9, quantile=0.5))
    model.network.set_decision(decision)
    answers = model.predict(rows("single"))
    model.network.set_decision(Decision())  # others are given the same model
    columns = answer_columns(model.labels, decision)
    assert list(columns)[2:4] == ["abstained", "label_set"]
    for answer in answers:
        assert list(flat(answer)) == list(columns)
        for name in ("abstained", "label_set"):
            assert pa.array([answer[name]], columns[name]).to_pylist() == [answer[name]]


def take(row, name="single", names=None):
    return Carried(answer_columns(LABELS[name], Decision()), ["probabilities"], names, ["tokens"]).take(row, "f line 3")


def test_a_row_is_carried_but_for_what_the_answer_repeats():
    assert take({"id": 1, "text": "a"}) == {"id": 1, "text": "a"}
    assert take("a") == {}
    assert take({"id": 1, "tokens": ["a"], "tags": ["O"]}, "tags") == {"id": 1, "input/tags": ["O"]}
    assert take({"tokens": ["a"]}) == {"tokens": ["a"]}
    assert take({"label": "x", "probability/bad": 1, "probabilities": 2, "labels": 3}) == {
        "input/label": "x", "input/probability/bad": 1, "input/probabilities": 2, "labels": 3
    }  # fmt: skip


def test_columns_that_are_named():
    row = {"id": 1, "text": "a", "label": "x"}
    assert take(row, names=["label", "id", "none"]) == {"input/label": "x", "id": 1}
    assert take(row, names=[]) == {}


def test_two_columns_of_one_name():
    said = "has a column 'input/label', which is what 'label' is called beside the answer: rename one"
    assert complaint(lambda: take({"label": 1, "input/label": 2})).startswith(f"f line 3 {said}")
    assert take({"input/label": 2}) == {"input/label": 2}
    columns = {"label": pa.string(), "input/label": pa.string()}
    assert f"file f {said}" in complaint(
        lambda: Carried(answer_columns(LABELS["single"], Decision()), ["probabilities"], None, []).table(
            columns, "file f"
        )
    )


def test_the_columns_of_a_table():
    columns = {"id": pa.int32(), "score": pa.float32(), "kind": pa.dictionary(pa.int8(), pa.string())}
    schema = Carried(SCORE, [], None, []).table(columns, "f")
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "id": pa.int32(), "input/score": pa.float32(), "kind": pa.string(), "score": pa.float64()
    }  # fmt: skip
    assert Carried(SCORE, [], ["kind"], []).table(columns, "f").names == [
        "kind",
        "score",
    ]
    message = complaint(lambda: Carried(SCORE, [], ["idd"], []).table(columns, "file f"))
    assert message == "file f has no column 'idd' to carry along: name one of id, score, kind"
    odd = {"\ud800": pa.string(), "id": pa.int64()}
    message = complaint(lambda: Carried(SCORE, [], None, []).table(odd, "file f"))
    assert message.startswith("file f has a column '\\ud800', with half a surrogate pair in its name, which no table")
    assert Carried(SCORE, [], ["id"], []).table(odd, "file f").names == ["id", "score"]
    said = "file f has no column 'id' to carry along: leave out --carry"
    assert complaint(lambda: Carried(SCORE, [], ["id"], []).check([], "file f")) == said


def test_a_named_column_that_no_row_has(echo, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 2)
    source, target = write_jsonl(tmp_path / "rows.jsonl", [*ROWS[:4], {**ROWS[4], "late": 1}]), tmp_path / "out.jsonl"
    with pytest.warns(UserWarning, match="rows") as told:
        predict_file(echo, str(source), str(target), carry=["idd", "late", "id"])
    assert [str(one.message) for one in told] == [
        f"{source}: none of 5 rows has a column 'idd' to carry along: correct --carry"
    ]
    assert [next(iter(row)) for row in read_jsonl(target)] == ["id"] * 4 + ["late"]
    (tmp_path / "rows.csv").write_text("sentence,id\na,1\n")
    message = complaint(lambda: predict_file(echo, str(tmp_path / "rows.csv"), str(target), carry=["idd"]))
    assert message == f"file {tmp_path / 'rows.csv'} has no column 'idd' to carry along: name one of sentence, id"
