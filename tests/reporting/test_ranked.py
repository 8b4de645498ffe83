"""Candidates ranked within questions, in a report and in two compared: scikit-learn and loops over whole questions."""

from __future__ import annotations

import json
import math
import random
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from lightning_clf import LabelSpace, load_classifier
from lightning_clf.reporting import compare, report
from lightning_clf.reporting.pairing import ranked_differences
from lightning_clf.reporting.ranked import Ranked, means, ranked_intervals
from tests.reporting.conftest import Page, rows_of, write
from tests.reporting.test_report import check_page
from tests.reporting.test_resampling import plain_draws
from tests.training import complaint

YES_NO = {"labels": LabelSpace.of(["no", "yes"], "single").to_dict()}
NAMES = ("map", "mrr")


def candidates(questions: int = 12) -> Ranked:
    """Candidates in any order, some as probable as others; of the first question all are right, of the second none."""
    chance = random.Random(0)
    groups = [*range(questions)] * 4 + [chance.randrange(questions) for _ in range(20)]
    chance.shuffle(groups)
    right = [group == 0 or (group > 1 and chance.random() < 0.4) for group in groups]
    return Ranked(groups, [chance.randrange(1, 6) / 8 for _ in groups], right)


def answered(ranked: Ranked, seed: int) -> Ranked:
    """The same candidates, as another model ranks them."""
    chance = random.Random(seed)
    return Ranked(ranked.groups, [chance.randrange(1, 6) / 8 for _ in ranked.groups], ranked.right)


def plain(ranked: Ranked, questions: list[int]) -> list[float]:
    """MAP and MRR of some questions, each as often as it is named."""
    found = []
    for question in questions:
        own = [row for row, group in enumerate(ranked.groups) if group == question]
        scores, right = ([side[row] for row in own] for side in (ranked.probabilities, ranked.right))
        if any(right):
            best = max(score for score, is_right in zip(scores, right, strict=True) if is_right)
            found.append((average_precision_score(right, scores), 1 / sum(score >= best for score in scores)))
    return np.mean(found, axis=0).tolist() if found else [math.nan, math.nan]


def test_intervals_are_those_of_a_loop_over_questions():
    ranked = candidates()
    mine = ranked_intervals(ranked, draws=60)
    loop = np.array([plain(ranked, questions) for questions in plain_draws(12, 60)])
    for place, name in enumerate(NAMES):
        low, high = np.percentile(loop[:, place], [2.5, 97.5])
        assert mine[name] == pytest.approx((plain(ranked, [*range(12)])[place], low, high), abs=1e-12)
        assert mine[name].low < mine[name].value < mine[name].high
    counted = sum(not math.isnan(plain(ranked, [question])[0]) for question in range(12))
    assert ranked.counts() == {"groups": 12, "counted": counted}
    assert counted < 12


def test_a_draw_of_questions_without_a_right_candidate_has_no_number():
    each = torch.tensor([[1.0, math.nan, 0.5], [1.0, math.nan, 0.25]], dtype=torch.float64)
    found = means(each, torch.tensor([[0, 3, 0], [1, 1, 1], [0, 0, 3]]))
    assert found[:, 0].isnan().all()
    assert found[:, 1:].tolist() == [[0.75, 0.5], [0.625, 0.25]]


def test_differences_are_those_of_a_loop_over_questions():
    first = candidates()
    second = answered(first, 1)
    found = ranked_differences(first, second, draws=60, swaps=9)
    loop = np.array([np.subtract(plain(second, each), plain(first, each)) for each in plain_draws(12, 60)])
    one, other = (plain(side, [*range(12)]) for side in (first, second))
    for place, name in enumerate(NAMES):
        low, high = np.percentile(loop[:, place], [2.5, 97.5])
        assert found[name][:2] == pytest.approx((one[place], other[place]), abs=1e-12)
        assert found[name].difference == pytest.approx((other[place] - one[place], low, high), abs=1e-12)
        assert found[name].test == "randomisation"


def test_randomisation_comes_near_all_ways_to_swap_questions():
    first = candidates(questions=8)
    second = answered(first, 2)
    gaps = np.array([np.subtract(plain(second, [each]), plain(first, [each])) for each in range(8)])
    gaps = gaps[~np.isnan(gaps[:, 0])]
    swapped = np.array([(np.array(signs)[:, None] * gaps).mean(0) for signs in product((1, -1), repeat=len(gaps))])
    found = ranked_differences(first, second, draws=5, swaps=1999)
    for place, name in enumerate(NAMES):
        exact = np.mean(np.abs(swapped[:, place]) >= abs(gaps[:, place].mean()) - 1e-12)
        assert 0.05 < exact < 0.95
        assert found[name].p_value == pytest.approx(exact, abs=0.04)


def questions_of(count: int = 40) -> list[dict]:
    """Texts that are candidates for nine questions, which a number names too; of one of these none is right."""
    rows = []
    for number, row in enumerate(rows_of("single", count)):
        question = number * 7 % 9
        label = "yes" if number % 4 == 0 and question != 4 else "no"
        rows.append({"text": row["text"], "question": f"who, {question}?", "id": question, "label": label})
    return rows


@pytest.mark.parametrize("column", ["question", "id"])
def test_page_and_json(column, model, tmp_path):
    rows, output = questions_of(), tmp_path / "r.html"
    source, name = write(tmp_path / "dev.jsonl", rows), model("single", group=column, **YES_NO)
    found = report(name, source, str(output), draws=40)
    yes = [answer["probabilities"]["yes"] for answer in load_classifier(name).predict(rows)]
    ranked = Ranked([row["id"] for row in rows], yes, [row["label"] == "yes" for row in rows])
    assert found["main"] == [*found["metrics"]][:4] == [*NAMES, "accuracy", "f1_macro"]
    expected = plain(ranked, [*range(9)])
    assert [found["metrics"][name]["value"] for name in NAMES] == pytest.approx(expected, abs=1e-9)
    order = list(dict.fromkeys(ranked.groups))  # in which questions are met, and numbered
    loop = np.array([plain(ranked, [order[each] for each in questions]) for questions in plain_draws(9, 40)])
    for place, name in enumerate(NAMES):
        ends = [found["metrics"][name][end] for end in ("low", "high")]
        assert ends == pytest.approx(np.percentile(loop[:, place], [2.5, 97.5]), abs=1e-9)
    counted = len({row["id"] for row in rows if row["label"] == "yes"})
    assert found["ranking"] == {"column": column, "groups": 9, "counted": counted}
    assert [order[row["group"]] for row in found["rows"]] == ranked.groups
    text = output.read_text(encoding="utf-8")
    page = Page(text)
    check_page(page, text)
    told = [end for each in found["metrics"].values() for end in each.values() if end is not None]
    assert page.numbers["metrics"] == told
    assert page.numbers["head"][:3] == [*found["metrics"]["map"].values()]
    assert f"that have the same {column} by the probability" in page.text
    assert f"means over {counted} of 9 questions" in page.text


def test_a_column_may_be_named_and_that_of_training_missing(model, tmp_path):
    rows, output = questions_of(), str(tmp_path / "r.html")
    source = write(tmp_path / "dev.jsonl", rows)
    single, ranks = model("single", "single", **YES_NO), model("single", group="id", **YES_NO)
    without = report(single, source, output, draws=5)
    assert without["main"] == ["accuracy", "f1_macro"]
    assert not {"map", "ranking", "group"} & {*without, *without["metrics"], *without["rows"][0]}
    named = report(single, source, output, columns={"group": "question"}, draws=5)
    assert named["metrics"] == report(ranks, source, output, draws=5)["metrics"]
    assert {name: each for name, each in named["metrics"].items() if name not in NAMES} == without["metrics"]
    bare = write(tmp_path / "bare.jsonl", [{key: row[key] for key in ("text", "label")} for row in rows])
    with pytest.warns(UserWarning, match=r"bare.jsonl has no column 'id' to rank by, so that there is neither map nor"):
        assert report(ranks, bare, output, draws=5)["metrics"] == without["metrics"]


def test_what_cannot_be_ranked_is_refused(model, tmp_path):
    rows, output = questions_of(), str(tmp_path / "r.html")
    source, ranks = write(tmp_path / "dev.jsonl", rows), model("single", group="id", **YES_NO)
    message = complaint(lambda: report(ranks, source, output, columns={"group": "asked"}))
    assert message.startswith(f"{source} line 1 has no column 'asked' (columns: text, question, id, label)")
    assert "give --group-column" in message
    some = write(tmp_path / "some.jsonl", [*rows, {**rows[0], "id": None}])
    assert complaint(lambda: report(ranks, some, output)).startswith(f"column 'id' of {some} line 41 is None")
    three = write(tmp_path / "three.jsonl", rows_of("single"))
    message = complaint(lambda: report(model("single", "three"), three, output, columns={"group": "source"}))
    assert message.startswith("--group-column source ranks by the second of two labels")
    assert not Path(output).exists()


def test_two_reports_are_compared_by_questions(model, tmp_path):
    source, names = write(tmp_path / "dev.jsonl", questions_of()), []
    for number in range(2):
        name = model("single", f"best{number}", seed=number, group="question", **YES_NO)
        report(name, source, str(tmp_path / f"{number}.html"), draws=5)
        names.append(str(tmp_path / f"{number}.json"))
    output = tmp_path / "compare.html"
    found = compare(*names, str(output), draws=40, swaps=99)
    reports = [json.loads(Path(name).read_text(encoding="utf-8")) for name in names]
    sides = []
    for each in reports:
        groups, probabilities = ([row[key] for row in each["rows"]] for key in ("group", "probability"))
        sides.append(Ranked(groups, probabilities, [row["gold"] == "yes" for row in each["rows"]]))
    assert [*found["metrics"]][:2] == found["main"][:2] == [*NAMES]
    loop = np.array([np.subtract(plain(sides[1], each), plain(sides[0], each)) for each in plain_draws(9, 40)])
    for place, name in enumerate(NAMES):
        each = found["metrics"][name]
        values = [one["metrics"][name]["value"] for one in reports]
        assert [each["first"], each["second"]] == pytest.approx(values, abs=1e-12)
        low, high = np.percentile(loop[:, place], [2.5, 97.5])
        assert [each["difference"][end] for end in ("low", "high")] == pytest.approx([low, high], abs=1e-12)
        assert each["difference"]["value"] != 0 < each["p_value"] <= 1
    page = Page(output.read_text(encoding="utf-8"))
    assert page.numbers["head"][:2] == [found["metrics"]["map"][side] for side in ("first", "second")]
    assert "For map and mrr whole questions are drawn, and swapped." in page.text


def test_reports_that_rank_otherwise_are_not_compared(model, tmp_path):
    source, output = write(tmp_path / "dev.jsonl", questions_of()), str(tmp_path / "compare.html")
    name = model("single", group="question", **YES_NO)
    for file, columns in (("a", {}), ("b", {"group": "text"})):
        report(name, source, str(tmp_path / f"{file}.html"), columns=columns, draws=5)
    first, second = (str(tmp_path / f"{file}.json") for file in "ab")
    said = f"reports {first} and {second} rank other rows together, or only one ranks any: write both anew with"
    assert complaint(lambda: compare(first, second, output)).startswith(said)
    whole = json.loads(Path(first).read_text(encoding="utf-8"))
    ungrouped = whole | {"rows": [{**row, "group": None} for row in whole["rows"]]}
    for changed, expected in (
        ({key: value for key, value in whole.items() if key != "ranking"}, said),
        (ungrouped, f"report {second} is not whole: write it anew"),
    ):
        Path(second).write_text(json.dumps(changed), encoding="utf-8")
        assert complaint(lambda: compare(first, second, output)).startswith(expected)
    assert not Path(output).exists()
