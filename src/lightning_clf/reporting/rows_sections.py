"""A report in primitives → the sections of its page that name rows, words, and where all of it comes from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lightning_clf.reporting.markup import Child, Markup, element, join, number, table
from lightning_clf.reporting.page import Section, facts, folded, note

_FIRST = 15  # rows of a list that are shown at once
_KINDS = {
    "type": ("type", "the boundaries are right, the type is not"),
    "boundary": ("boundary", "the type is right, and it overlaps"),
    "boundary_and_type": ("boundary and type", "it overlaps, and neither is right"),
    "missed": ("missed", "nothing is left that overlaps"),
    "spurious": ("spurious", "nothing is left that overlaps"),
}


def entity_errors_section(report: dict[str, Any]) -> Section:
    """What is wrong with entities."""
    counts = report["entity_errors"]
    rows: list[list[Child]] = []
    for kind, (name, meaning) in _KINDS.items():
        negatives = None if kind == "spurious" else number(counts[kind])
        positives = None if kind == "missed" else number(counts[kind])
        rows.append([name, meaning, negatives, positives])
    totals = (number(counts["false_negatives"]), number(counts["false_positives"]))
    rows.append([element("b", "together"), "", *(element("b", total) for total in totals)])
    said = note(
        "Every right entity that was not found exactly is one false negative, every given one that is not right one "
        "false positive. They are paired within a sentence, each at most once: first of the same boundaries, then "
        "overlapping of the same type, then any that overlap, the largest overlap first."
    )
    header = ["error", "", "false negatives", "false positives"]
    return Section("entity-errors", "Errors of entities", join(table(header, rows, text=(0, 1)), said))


def errors_section(report: dict[str, Any]) -> Section:
    """The errors the model is surest of."""
    errors = report["errors"]
    if not errors:
        return Section("errors", "Surest errors", note("There is none."))
    kinds = "error" in errors[0]
    header = ["line", "text", *(["error"] if kinds else []), "right", "given", "probability"]
    rows = [
        [each["line"], each["text"], *([_KINDS[each["error"]][0]] if kinds else []), each["gold"] or "–",
         each["predicted"] or "–", number(each["confidence"], 3)]
        for each in errors
    ]  # fmt: skip
    said = {
        "multi": "One line is one label wrongly given or missed, with the probability of what was decided.",
        "tags": "The probability is the lowest of the tags given to the words in brackets.",
    }.get(report["labels"]["kind"], "The probability is that of the answer given.")
    return Section("errors", "Surest errors", join(note(said), rows_table(header, rows)))


def residuals_section(report: dict[str, Any]) -> Section:
    """The scores that are furthest off."""
    rows = [
        [each["line"], each["text"], number(each["gold"], 2), number(each["predicted"], 2), number(each["residual"], 2)]
        for each in report["residuals"]
    ]
    return Section("residuals", "Largest residuals", rows_table(["line", "text", "right", "given", "residual"], rows))


def label_errors_section(report: dict[str, Any]) -> Section:
    """Labels that may be wrong."""
    found = report["label_errors"]
    said = note(
        "Confident learning (Northcutt, Jiang & Chuang 2021): rows that reach another class's threshold, which is how "
        "sure the model is of that class in the mean on the rows that have it. Ranked by margin: the probability of "
        "the label less that of the likeliest other. Of a model that was not trained on these rows; it is a list to "
        "look through, not a verdict."
    )
    rows = [
        [
            each["line"],
            each["text"],
            each["label"],
            each["suggested"],
            number(each["probability"], 3),
            number(each["margin"], 3),
        ]
        for each in found["rows"]
    ]
    header = ["line", "text", "label", "rather", "probability", "margin"]
    count = element(
        "p", number(found["count"]), " in all." if found["count"] <= len(rows) else f" in all; the first {len(rows)}:"
    )
    return Section(
        "label-errors", "Labels that may be wrong", join(said, count, rows_table(header, rows) if rows else None)
    )


def unseen_section(report: dict[str, Any]) -> Section:
    """Words that training did not hold."""
    found = report["unseen"]
    shares = [
        [name, number(found[side]["words"]), number(found[side]["unseen"]), number(found[side]["share"])]
        for side, name in (("right", "answered rightly"), ("wrong", "answered wrongly"))
    ]
    words = [[each["word"], number(each["right"]), number(each["wrong"])] for each in found["frequent"]]
    said = note(
        f"Words of {found['train']} against those of the rows, in small letters."
        + (
            " A score is right here if it misses by a tenth of the range at most."
            if report["labels"]["kind"] == "score"
            else ""
        )
    )
    frequent = join(
        element("h3", "Most frequent unseen words"), table(["word", "in right rows", "in wrong rows"], words)
    )
    body = join(table(["rows", "words", "unseen", "share"], shares), said, frequent if words else None)
    return Section("unseen", "Unseen words", body)


def speed_section(report: dict[str, Any]) -> Section:
    """How fast it was, and on what."""
    speed, machine = report["speed"], report["machine"]
    pairs: list[tuple[str, Child]] = [
        ("rows a second", number(speed["rows_per_second"], 1)),
        ("subwords a second", number(speed["tokens_per_second"], 0)),
        (
            "whole run",
            join(number(speed["seconds"], 2), " s, with reading and encoding, of ", number(speed["rows"]), " rows"),
        ),
        (
            f"a batch of {speed['batch_size']}",
            join(
                number(speed["batch_milliseconds_median"], 1), " ms in the median, ",
                number(speed["batch_milliseconds_95"], 1), " ms at the 95th percentile, of ",
                number(speed["full_batches"]), " full ones",
            ),
        ),
        ("processor", f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads used"),
        ("device", machine["device"]),
    ]  # fmt: skip
    return Section("speed", "Speed", facts(pairs))


def origin_section(report: dict[str, Any]) -> Section:
    """What all of it is of."""
    data, model, machine = report["data"], report["model"], report["machine"]
    decision = model["decision"]
    pairs: list[tuple[str, Child]] = [
        (
            "data",
            join(
                data["file"], ", ", number(data["rows"]), " labelled rows, ", number(data["truncated"]),
                " of them cut by the window",
            ),
        ),
        ("sha256 of the data", element("code", data["sha256"])),
        (
            "model",
            f"{model['name']}: {model['architecture']}, {model['head']}, window of {model['max_length']} subwords",
        ),
        ("parameters", number(model["parameters"])),
        ("sha256 of the model", element("code", model["sha256"])),
        ("decision in force", "that of the head alone" if not decision else _decision(decision)),
        ("versions", ", ".join(f"{name} {version}" for name, version in machine["packages"].items())),
        ("system", f"{machine['system']}, Python {machine['python']}"),
    ]  # fmt: skip
    return Section("origin", "Origin", facts(pairs))


def _decision(decision: dict[str, Any]) -> Markup:
    parts = [
        join(name.replace("_", " "), ": ", element("code", json.dumps(value, ensure_ascii=False)))
        for name, value in decision.items()
        if name != "cascade"  # which has a section of its own
    ]
    return element("div", [element("div", part) for part in parts])


def rows_table(header: Sequence[str], rows: Sequence[Sequence[Child]]) -> Markup:
    """A list of rows, of which the first are shown at once. The second column is a text."""

    def drawn(part: Sequence[Sequence[Child]]) -> Markup:
        body = [
            element(
                "tr",
                [
                    element("td", cell, class_="t" if place == 1 else None if _is_text(header[place]) else "n")
                    for place, cell in enumerate(row)
                ],
            )
            for row in part
        ]
        head = element("tr", [element("th", name, class_=None if _is_text(name) else "n") for name in header])
        return element("div", element("table", element("thead", head), element("tbody", body)), class_="scroll")

    return join(
        drawn(rows[:_FIRST]), folded(f"{len(rows) - _FIRST} more", drawn(rows[_FIRST:])) if rows[_FIRST:] else None
    )


def _is_text(name: str) -> bool:
    return name not in ("line", "probability", "margin", "residual")
