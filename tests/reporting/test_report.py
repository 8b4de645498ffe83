"""Whole reports: the page, its JSON, and that both say the same."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path

import pytest
from sklearn.metrics import confusion_matrix, f1_score

from lightning_clf import load_classifier
from lightning_clf.calibration import Target, Wanted
from lightning_clf.exporting import export
from lightning_clf.heads import LinearHead, SpanHead
from lightning_clf.inference import calibrate
from lightning_clf.reporting import report
from lightning_clf.reporting.writing import write as write_both
from tests.reporting.conftest import HOSTILE, SPACES, Page, rows_of, write
from tests.training import complaint

COMMON = ["metrics", "lengths", "slices", "unseen", "speed", "origin"]
SECTIONS = {
    "single": ["classes", "confusion", "curves", "errors", "label-errors"],
    "multi": ["classes", "confusion", "curves", "errors", "label-errors"],
    "tags": ["classes", "confusion", "entity-errors", "curves", "errors", "label-errors"],
    "words": ["classes", "confusion", "curves", "errors", "label-errors"],
    "score": ["agreement", "residuals"],
}


def check_page(page: Page, text: str) -> None:
    """What holds of every page: it is whole, asks for nothing, runs nothing, and a text in it stays a text."""
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    assert all(tag == "a" and target.removeprefix("#") in page.ids for tag, target in page.asked)
    assert not re.search(r"https?://|@import|url\(", text)
    assert "<script" not in text


@pytest.mark.parametrize("kind", sorted(SPACES))
def test_page_and_json(kind, model, tmp_path):
    rows = rows_of(kind)
    source, output = write(tmp_path / "dev.jsonl", rows), tmp_path / "out" / "report.html"
    train = write(tmp_path / "train.jsonl", rows[:10])
    found = report(model(kind), source, str(output), slices=["source"], train=train, batch_size=7, draws=20)
    text = output.read_text(encoding="utf-8")
    assert found == json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    assert sorted(path.name for path in output.parent.iterdir()) == ["report.html", "report.json"]
    page = Page(text)
    check_page(page, text)
    assert HOSTILE in page.text
    assert set(page.ids) == {*COMMON, *SECTIONS[kind]}
    for section, numbers in told(found).items():
        assert page.numbers[section] == numbers, section

    assert found["data"]["sha256"] == hashlib.sha256(Path(source).read_bytes()).hexdigest()
    assert found["data"]["rows"] == len(found["rows"]) == 40
    assert found["data"]["truncated"] > 0
    assert (found["speed"]["rows"], found["speed"]["full_batches"], found["speed"]["batch_size"]) == (40, 5, 7)
    assert sum(part["rows"] for part in found["lengths"]) == 40
    values = [(part["value"], part["rows"]) for part in found["slices"][0]["values"]]
    assert values == [("web", 14), ("(empty)", 13), (HOSTILE, 13)][:1] + sorted(values[1:])
    answers = load_classifier(str(tmp_path / "best")).predict(rows)
    key = {"single": "label", "multi": "labels", "score": "score"}.get(kind, "tags")
    for row, answer in zip(found["rows"], answers, strict=True):
        given = row["predicted"]
        assert answer[key] == (pytest.approx(min(max(given, 0), 5), abs=1e-5) if kind == "score" else given)
    assert [row["gold"] for row in found["rows"]] == [
        sorted(row[key], key=SPACES[kind].names.index) if kind == "multi" else row[key] for row in rows
    ]


def told(found: dict) -> dict[str, list[float]]:
    """The numbers a page should hold, in order, of the sections where that is plain."""

    def ends(each):
        return [each["value"], each["low"], each["high"]]

    def flat(values):
        return [value for value in values if value is not None]

    sections = {"metrics": flat(end for each in found["metrics"].values() for end in ends(each))}
    sections["lengths"] = flat(
        value
        for part in found["lengths"]
        for value in [part["rows"], *(end for metric in found["main"] for end in ends(part["metrics"][metric]))]
    )
    if "classes" in found:
        sections["classes"] = flat(
            value
            for row in found["classes"]
            for value in [row["precision"], row["recall"], *ends(row["f1"]), row["support"]]
        )
        sections["errors"] = flat(each["confidence"] for each in found["errors"])
        sections["label-errors"] = [found["label_errors"]["count"]] + [
            value for each in found["label_errors"]["rows"] for value in (each["probability"], each["margin"])
        ]
        pairs = [value for each in found["confused"] for value in (each["count"], each["share"])]
        cells = [cell for row in found["confusion"]["counts"] for cell in row]
        if found["labels"]["kind"] == "multi":
            cells = [cell for row in cells for cell in row]
        sections["confusion"] = cells + flat(pairs)
    else:
        sections["residuals"] = [
            value for each in found["residuals"] for value in (each["gold"], each["predicted"], each["residual"])
        ]
    return sections


def test_numbers_of_one_label(model, tmp_path):
    rows = rows_of("single")
    source = write(tmp_path / "dev.jsonl", rows)
    found = report(model("single"), source, str(tmp_path / "r.html"), train=source, draws=5)
    names = list(SPACES["single"].names)
    gold, given = ([row[side] for row in found["rows"]] for side in ("gold", "predicted"))
    assert found["confusion"]["counts"] == confusion_matrix(gold, given, labels=names).tolist()
    assert found["metrics"]["f1_macro"]["value"] == pytest.approx(f1_score(gold, given, average="macro"))
    assert found["curves"]["reliability"]["ece"] == pytest.approx(found["metrics"]["ece"]["value"], abs=1e-6)
    answers = load_classifier(str(tmp_path / "best")).predict(rows)
    wrong = [
        (row["label"], answer["label"], answer["probability"])
        for row, answer in zip(rows, answers, strict=True)
        if row["label"] != answer["label"]
    ]
    surest = sorted(wrong, key=lambda each: -each[2])
    assert [(error["gold"], error["predicted"]) for error in found["errors"]] == [(each[0], each[1]) for each in surest]
    assert [error["confidence"] for error in found["errors"]] == pytest.approx([each[2] for each in surest], abs=1e-5)
    assert [part["share"] for part in (found["unseen"]["right"], found["unseen"]["wrong"])] == [0, 0]
    assert found["unseen"]["frequent"] == []


def test_a_page_the_disk_has_no_room_for_leaves_no_json(tmp_path):
    page = tmp_path / "r.html"
    page.symlink_to("/dev/full")
    message = complaint(lambda: write_both("short enough to wait in a buffer", {}, page, page.with_suffix(".json")))
    assert message.startswith(f"{page} cannot be written (No space left on device)")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_heads_without_probabilities(model, tmp_path):
    source, output = write(tmp_path / "dev.jsonl", rows_of("tags")), tmp_path / "r.html"
    found = report(model("tags", head=SpanHead()), source, str(output), draws=5)
    assert found["curves"] is found["label_errors"] is None
    assert not {"curves", "label-errors"} & {*Page(output.read_text()).ids}
    assert {each["confidence"] for each in found["errors"]} == {None}
    assert found["entity_errors"]["false_negatives"] == sum(
        row["support"] - round(row["recall"] * row["support"]) for row in found["classes"]
    )


def test_decision_in_force(model, tmp_path):
    source = write(tmp_path / "dev.jsonl", rows_of("multi"))
    calibrate(model("multi"), source, str(tmp_path / "new"), Wanted(thresholds=Target.parse("f1")))
    before, after = (
        report(str(tmp_path / name), source, str(tmp_path / "r.html"), draws=5) for name in ("best", "new")
    )
    assert before["model"]["decision"] == {}
    assert list(after["model"]["decision"]["thresholds"]) == list(SPACES["multi"].names)
    assert before["model"]["sha256"] != after["model"]["sha256"]
    macro = [each["metrics"]["f1_macro"]["value"] for each in (before, after)]
    assert macro[0] < macro[1]
    assert "thresholds" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize("kind", ["single", "tags"])
def test_a_graph_is_reported_as_the_model_it_was_made_of(kind, model, tmp_path):
    source, folder = write(tmp_path / "dev.jsonl", rows_of(kind)), str(tmp_path / "graph")
    export(model(kind, head=LinearHead()), "onnx", folder, source)
    reports = [report(name, source, str(tmp_path / "r.html"), draws=5) for name in (str(tmp_path / "best"), folder)]
    for name, each in reports[0]["metrics"].items():
        assert reports[1]["metrics"][name] == pytest.approx(each, abs=1e-4), name
    assert reports[0]["rows"] == reports[1]["rows"]
    models = [found["model"] for found in reports]
    assert [each["architecture"] for each in models] == ["BertModel", "ONNX graph of bert"]
    assert [each["parameters"] is None for each in models] == [False, True]
    assert "ONNX graph of bert, LinearHead" in Page((tmp_path / "r.html").read_text()).text


def test_a_report_is_the_same_again_but_for_the_time(model, tmp_path):
    source, name = write(tmp_path / "dev.jsonl", rows_of("tags")), model("tags")
    one, other = (report(name, source, str(tmp_path / "r.html"), draws=5) for _ in range(2))
    assert one.pop("speed").keys() == other.pop("speed").keys()
    assert one == other
    assert not any(isinstance(value, float) and math.isnan(value) for value in one["metrics"]["entity_f1"].values())
