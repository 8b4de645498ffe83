"""Two reports side by side, and which two cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lightning_clf.reporting import compare, report
from tests.reporting.conftest import HOSTILE, SPACES, Page, rows_of, write
from tests.reporting.test_report import check_page
from tests.training import complaint


@pytest.fixture
def pair(model, tmp_path):
    """Reports of two models of a kind on the same rows."""

    def make(kind, rows=None):
        names = []
        for number in range(2):
            source = write(tmp_path / "dev.jsonl", rows or rows_of(kind))
            report(model(kind, f"best{number}", seed=number), source, str(tmp_path / f"{number}.html"), draws=5)
            names.append(str(tmp_path / f"{number}.json"))
        return names

    return make


@pytest.mark.parametrize("kind", sorted(SPACES))
def test_page_and_json(kind, pair, tmp_path):
    first, second = pair(kind)
    output = tmp_path / "compare.html"
    found = compare(first, second, str(output), draws=20, swaps=20)
    text = output.read_text(encoding="utf-8")
    assert found == json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    page = Page(text)
    check_page(page, text)
    shown = [row["text"] for part in ("only_first_right", "only_second_right") for row in found[part]["rows"]]
    assert any(HOSTILE in text for text in shown) <= (HOSTILE in page.text)
    assert page.ids == ["differences", "only-first-right", "only-second-right", "speed", "origin"]
    reports = [json.loads(Path(name).read_text(encoding="utf-8")) for name in (first, second)]
    ends = []
    for name, each in found["metrics"].items():
        values = [one["metrics"][name]["value"] for one in reports]
        assert [each["first"], each["second"]] == pytest.approx(values, abs=1e-12)
        gap = each["difference"]
        assert gap["value"] == pytest.approx(values[1] - values[0], abs=1e-12)
        ends += [each["first"], each["second"], gap["value"], gap["low"], gap["high"], each["p_value"]]
    assert page.numbers["differences"] == [end for end in ends if end is not None]
    for side, other, key in ((0, 1, "only_first_right"), (1, 0, "only_second_right")):
        if kind == "score":
            continue
        flipped = [
            one["line"]
            for one, two in zip(reports[side]["rows"], reports[other]["rows"], strict=True)
            if one["predicted"] == one["gold"] != two["predicted"]
        ]
        assert [row["line"] for row in found[key]["rows"]] == flipped
        assert found[key]["count"] == len(flipped)


def changed(name: str, **parts) -> str:
    """A report with parts replaced, written beside it."""
    found = json.loads(Path(name).read_text(encoding="utf-8")) | parts
    path = name.replace(".json", "-changed.json")
    Path(path).write_text(json.dumps(found), encoding="utf-8")
    return path


def test_reports_that_cannot_be_compared(pair, model, tmp_path):
    first, second = pair("single")
    output, whole = str(tmp_path / "compare.html"), json.loads(Path(second).read_text(encoding="utf-8"))
    other = write(tmp_path / "other.jsonl", rows_of("single", 30))
    report(str(tmp_path / "best0"), other, str(tmp_path / "other.html"), draws=5)
    of_others = SPACES["multi"].to_dict()
    rows = [row | {"gold": "bad"} for row in whole["rows"]]
    for parts, said in [
        ({"labels": of_others}, "have different labels: compare models"),
        ({"rows": rows}, "have other right answers in the same rows"),
        ({"rows": whole["rows"][:3]}, "have other right answers in the same rows"),
        ({"rows": [{}]}, "1-changed.json is not whole"),
        ({"data": None}, "is not whole: write it anew"),
        (
            {"model": {key: value for key, value in whole["model"].items() if key != "name"}},
            "1-changed.json is not whole",
        ),
        ({"model": whole["model"] | {"sha256": 3}}, "1-changed.json is not whole"),
        ({"speed": None}, "1-changed.json is not whole"),
        ({"machine": {}}, "1-changed.json is not whole"),
        ({"format": 2}, "is of another version"),
        ({"kind": "comparison"}, "is not the JSON file of a report"),
    ]:
        name = changed(second, **parts)
        assert said in complaint(lambda name=name: compare(first, name, output))
    for parts in ({"main": ["none"]}, {"rows": [{k: row[k] for k in ("gold", "predicted")} for row in whole["rows"]]}):
        name = changed(first, **parts)
        assert f"{name} is not whole" in complaint(lambda name=name: compare(name, second, output))
    for name, said in [
        (str(tmp_path / "other.json"), "are of different data ("),
        (other, "cannot be read: give the JSON file"),
        (str(tmp_path / "none.json"), "none.json does not exist"),
    ]:
        assert said in complaint(lambda name=name: compare(first, name, output))
    assert not (tmp_path / "compare.html").exists()
    assert "would replace" in complaint(lambda: compare(first, second, str(tmp_path / "1.html")))
