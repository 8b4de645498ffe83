"""The section on a cascade: the page holds what every threshold came to, and nobody is asked."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET

import pytest

from lightning_clf.artefact import load_artefact
from lightning_clf.cascade import Cascade, Curve
from lightning_clf.reporting import report
from lightning_clf.reporting.cascade_section import cascade_section
from tests.language_models.server import served
from tests.reporting.conftest import HOSTILE, Page, rows_of, write
from tests.reporting.test_report import check_page

CALL, ERROR = 0.25, 2.0
THRESHOLDS, ASKED, RISK = (0.0, 0.5, 0.75, 1.0), (0.0, 0.25, 0.5, 1.0), (0.5, 0.25, 0.125, 0.375)
COSTS = [1.0, 0.5625, 0.375, 1.0]  # CALL × asked + ERROR × risk


def policy(endpoint: str = "http://127.0.0.1:1/v1", **changed) -> Cascade:
    """A cascade whose texts would be markup."""
    curve = Curve(THRESHOLDS, ASKED, RISK)
    made = Cascade(0.75, f"{endpoint}/{HOSTILE}", HOSTILE, f"Say {HOSTILE}.", CALL, ERROR, curve)
    return dataclasses.replace(made, **changed)


def drawn(body: str) -> tuple[list[tuple[float, float]], tuple[float, float], dict[str, list[float]]]:
    """The points of the line, the dot, and what is named at each axis, as places on the page and as numbers."""
    figure = ET.fromstring(body[body.index("<svg") : body.index("</svg>") + 6])
    line, dot = figure.find("polyline"), figure.find("circle")
    points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
    named = {"middle": [], "end": []}
    for text in figure.findall("text"):
        if re.fullmatch(r"[\d.e-]+", text.text):
            named[text.get("text-anchor")].append(float(text.text))
    return points, (float(dot.get("cx")), float(dot.get("cy"))), named


def test_the_curve_is_drawn_to_scale_with_a_dot_at_what_was_chosen():
    points, dot, named = drawn(cascade_section(policy().to_dict()).body)
    assert named["middle"] == [0.375, 0.53125, 0.6875, 0.84375, 1.0]
    assert named["end"] == [0.125, 0.21875, 0.3125, 0.40625, 0.5]
    across, up = zip(*points, strict=True)
    width, height = max(across) - min(across), max(up) - min(up)
    assert width > 0
    assert height > 0
    assert [(x - min(across)) / width for x in across] == pytest.approx([(c - 0.375) / 0.625 for c in COSTS], abs=1e-3)
    assert [(max(up) - y) / height for y in up] == pytest.approx([(risk - 0.125) / 0.375 for risk in RISK], abs=1e-3)
    assert dot == points[2]


def test_where_every_threshold_costs_the_same_there_is_a_chart_too():
    curve = Curve((0.0, 1.0), (0.0, 1.0), (0.0, 0.0))
    points, dot, named = drawn(cascade_section(policy(threshold=0.0, price_per_call=0.0, curve=curve).to_dict()).body)
    assert named == {"middle": [0, 0.25, 0.5, 0.75, 1], "end": [0, 0.25, 0.5, 0.75, 1]}
    assert points == [dot, dot]


def test_a_report_tells_of_it_and_asks_nobody(model, tmp_path):
    artefact = load_artefact(model("single"))
    source, output = write(tmp_path / "dev.jsonl", rows_of("single")), tmp_path / "r.html"
    alone = report(str(tmp_path / "best"), source, str(output), draws=5)
    assert "cascade" not in Page(output.read_text()).ids
    with served(lambda body: '{"label": "good"}') as server:
        decision = dataclasses.replace(artefact.decision, cascade=policy(server.url))
        artefact.network.set_decision(decision)
        artefact.save(tmp_path / "new")
        found = report(str(tmp_path / "new"), source, str(output), draws=5)
        assert server.requests == []
    text = output.read_text(encoding="utf-8")
    page = Page(text)
    assert page.ids.count("cascade") == 1
    # the address stands on no page: what is checked of every page holds of this
    check_page(page, text)
    assert f"A call to {HOSTILE} costs 0.25, an error 2. A report asks nobody" in page.text
    # the threshold, then risk, calls and cost of the classifier alone, of the language model alone, and of both
    assert page.numbers["cascade"] == [0.75, 0.5, 0, 1.0, 0.375, 1, 1.0, 0.125, 0.5, 0.375]
    assert found["model"]["decision"]["cascade"]["curve"]["risk"] == list(RISK)
    assert found["metrics"] == alone["metrics"]
