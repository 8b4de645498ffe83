"""A cascade of the model's decision → a section: what each threshold cost on the rows it was chosen on."""

from __future__ import annotations

from typing import Any

from lightning_clf.cascade import Cascade
from lightning_clf.reporting.charts import Axis, Frame
from lightning_clf.reporting.markup import element, join, number, table
from lightning_clf.reporting.page import Section, note


def cascade_section(stored: dict[str, Any]) -> Section:
    """The curve of cost against risk, and its ends beside the threshold that was chosen."""
    cascade = Cascade.from_dict(stored, "the cascade")
    curve = cascade.curve
    points = [(cascade.cost(asked, risk), risk, asked) for asked, risk in zip(curve.asked, curve.risk, strict=True)]
    chosen = points[curve.thresholds.index(cascade.threshold)]
    frame = Frame(_axis("cost of a row", [cost for cost, *_ in points]), _axis("risk", [risk for _, risk, _ in points]))
    shapes = [
        frame.line([(cost, risk) for cost, risk, _ in points], "line c0"),
        frame.dot(chosen[0], chosen[1], "dot c1", 4),
    ]
    rows = [
        [name, number(risk), number(asked), number(cost)]
        for name, (cost, risk, asked) in (
            ("classifier alone", points[0]), ("language model alone", points[-1]), ("cascade", chosen),
        )
    ]  # fmt: skip
    figure = element(
        "figure",
        frame.draw("Cost and risk", shapes),
        element(
            "figcaption", "From asking about no row to asking about all, on the rows that the threshold ",
            number(cascade.threshold), " was chosen on; the dot is that threshold.",
        ),
    )  # fmt: skip
    said = note(
        f"A call to {cascade.language_model} costs {cascade.price_per_call:g}, an error "
        f"{cascade.price_per_error:g}. A report asks nobody: the scores on this page are the classifier's alone."
    )
    return Section("cascade", "Cascade", join(figure, table(["", "risk", "calls", "cost of a row"], rows), said))


def _axis(name: str, values: list[float]) -> Axis:
    """As much of a direction as the values take; where all are the same, from 0 on."""
    low, high = min(values), max(values)
    return Axis(name, low, high) if low < high else Axis(name, 0.0, high or 1.0)
