"""A comparison in primitives → its page."""

from __future__ import annotations

from typing import Any

from lightning_clf.reporting.charts import difference_bar
from lightning_clf.reporting.markup import Child, Markup, element, join, number, table
from lightning_clf.reporting.page import Section, facts, note, page, tile
from lightning_clf.reporting.rows_sections import rows_table
from lightning_clf.reporting.sections import span_of
from lightning_clf.schemes import spans

_TESTS = {"mcnemar": "McNemar, exact", "randomisation": "randomisation"}


def comparison_page(found: dict[str, Any]) -> str:
    """The page of a comparison."""
    main = found["main"][0]
    each = found["metrics"][main]
    tiles = [
        tile(f"{main}, first", number(each["first"], 3), None),
        tile(f"{main}, second", number(each["second"], 3), None),
        tile("difference", _signed(each["difference"]["value"]), join(*_between(each["difference"]))),
        tile("p-value", number(each["p_value"], 4), _TESTS[each["test"]]),
    ]
    first, second = (model["name"] for model in found["models"])
    head = join(
        element("p", f"first: {first}", class_="sub"),
        element("p", f"second: {second}", class_="sub"),
        element("div", tiles, class_="tiles"),
    )
    return page("Comparison of two reports", head, [_differences(found), *_flips(found), _speed(found), _origin(found)])


def _differences(found: dict[str, Any]) -> Section:
    widest = max(1e-9, _widest(found))
    rows = []
    for name, each in found["metrics"].items():
        gap = each["difference"]
        ends = [gap["low"], gap["value"], gap["high"]]
        bar = (
            None
            if any(end is None or abs(end) > widest for end in ends)
            else difference_bar(gap["low"], gap["value"], gap["high"], widest)
        )
        rows.append(
            [element("code", name), number(each["first"]), number(each["second"]), _signed(gap["value"]), *span_of(gap),
             bar, number(each["p_value"]), _TESTS[each["test"]]]
        )  # fmt: skip
    bootstrap = found["bootstrap"]
    said = note(
        f"The difference is the second less the first. Its interval holds the middle {bootstrap['level']:.0%} of "
        f"{bootstrap['draws']:,} draws of rows, each with both of its answers (paired bootstrap, seed "
        f"{bootstrap['seed']}). The p-value says how often chance alone would make as large a difference: of accuracy "
        "by the exact test of McNemar (1947) on the rows that only one of the two answers rightly, of other numbers by "
        f"approximate randomisation (Noreen 1989; Yeh 2000) with {bootstrap['swaps']:,} random swaps of the two "
        "answers. "
        + ("For map and mrr whole questions are drawn, and swapped. " if "map" in found["metrics"] else "")
        + "Of many numbers that are looked at, some are small by chance."
    )
    header = ["metric", "first", "second", "difference", "from", "to", "", "p", "test"]
    return Section("differences", "Differences", join(table(header, rows, text=(0, 6, 8)), said))


def _widest(found: dict[str, Any]) -> float:
    """The largest end of an interval of numbers between 0 and 1."""
    return max(
        (
            abs(each["difference"][side])
            for each in found["metrics"].values()
            for side in ("low", "high")
            if each["difference"][side] is not None and abs(each["difference"][side]) <= 1
        ),
        default=1.0,
    )


def _flips(found: dict[str, Any]) -> list[Section]:
    sections = []
    for key, title in (
        ("only_first_right", "Only the first is right"),
        ("only_second_right", "Only the second is right"),
    ):
        part = found[key]
        rows = [
            [row["line"], row["text"], *(_answer(found["labels"], row[side]) for side in ("gold", "first", "second"))]
            for row in part["rows"]
        ]
        shown = "" if len(rows) == part["count"] else f" The first {len(rows)} are:"
        count = element("p", number(part["count"]), f" of {found['data']['rows']:,} rows.", shown)
        listing = rows_table(["line", "text", "right", "first", "second"], rows) if rows else None
        sections.append(Section(key.replace("_", "-"), title, join(count, listing)))
    if found["labels"]["kind"] == "score":
        said = note("A score is right here if it misses by a tenth of the range at most.")
        sections[0] = sections[0]._replace(body=join(said, sections[0].body))
    return sections


def _answer(labels: dict[str, Any], value: Any) -> Child:
    if isinstance(value, float):
        return number(value, 2)
    if isinstance(value, str):
        return value
    if labels["kind"] == "tags" and labels["scheme"] != "none":
        value = [f"{span.type} {span.start + 1}–{span.end}" for span in spans(value, labels["scheme"])]
    return (
        (", " if labels["kind"] == "multi" else " ").join(value)
        if labels["kind"] != "tags"
        else " · ".join(value) or "–"
    )


def _speed(found: dict[str, Any]) -> Section:
    rows = [
        [name, number(speed["rows_per_second"], 1), number(speed["batch_milliseconds_median"], 1),
         number(speed["batch_size"]), speed["machine"]]
        for name, speed in zip(("first", "second"), found["speed"], strict=True)
    ]  # fmt: skip
    header = ["model", "rows a second", "milliseconds a batch", "batch size", "processor"]
    return Section("speed", "Speed", table(header, rows, text=(0, 4)))


def _origin(found: dict[str, Any]) -> Section:
    pairs: list[tuple[str, Child]] = [
        ("data", join(found["data"]["file"], ", ", number(found["data"]["rows"]), " labelled rows")),
        ("sha256 of the data", element("code", found["data"]["sha256"])),
    ]
    for side, model in zip(("first", "second"), found["models"], strict=True):
        pairs += [
            (side, f"{model['report']}: {model['name']}, {model['architecture']}, {model['head']}"),
            (f"sha256 of the {side}", element("code", model["sha256"])),
        ]
    return Section("origin", "Origin", facts(pairs))


def _between(gap: dict[str, Any]) -> tuple[Markup, str, Markup]:
    low, high = span_of(gap, 3)
    return low, " – ", high


def _signed(value: float | None) -> Markup:
    shown = number(value, 4)
    return join("+", shown) if value is not None and value > 0 else shown
