"""A report in primitives → the sections of its page: scores, classes, curves, parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning_clf.reporting.charts import COLOURS, Axis, Frame, interval_bar, legend
from lightning_clf.reporting.markup import Child, Markup, element, join, number, table
from lightning_clf.reporting.page import Section, folded, note

_WIDEST = 20  # the most classes whose matrix is a table that can be read


def metrics_section(report: dict[str, Any]) -> Section:
    """Every number with its interval."""
    bootstrap = report["bootstrap"]
    rows = [
        [element("code", name), number(each["value"]), *span_of(each), _bar(each)]
        for name, each in report["metrics"].items()
    ]
    said = note(
        f"Intervals hold the middle {bootstrap['level']:.0%} of {bootstrap['draws']:,} draws of as many "
        f"{bootstrap['unit']} with replacement (bootstrap by percentiles, seed {bootstrap['seed']}). They tell how "
        "far the number may be from that of all such rows, not how another training would come out."
    )
    if "ranking" in report:
        said = join(said, _ranking_note(report["ranking"]))
    return Section("metrics", "Scores", join(table(["metric", "value", "from", "to", ""], rows, text=(0, 4)), said))


def _ranking_note(ranking: dict[str, Any]) -> Markup:
    return note(
        element("code", "map"), " and ", element("code", "mrr"), " rank the rows that have the same ",
        element("code", ranking["column"]), " by the probability of the second label, and are means over "
        f"{ranking['counted']:,} of {ranking['groups']:,} questions: of the others no row is right. For these two "
        "intervals whole questions are drawn.",
    )  # fmt: skip


def classes_section(report: dict[str, Any]) -> Section:
    """Each class, and what is taken for what."""
    rows = [
        [row["label"], number(row["precision"]), number(row["recall"]), number(row["f1"]["value"]),
         *span_of(row["f1"]), _bar(row["f1"]), number(row["support"])]
        for row in report["classes"]
    ]  # fmt: skip
    header = ["label", "precision", "recall", "F1", "from", "to", "", "rows" if _is_flat(report) else "support"]
    return Section("classes", "Classes", table(header, rows, text=(0, 6)))


def confusion_section(report: dict[str, Any]) -> Section:
    """What is taken for what."""
    names, counts = report["confusion"]["names"], report["confusion"]["counts"]
    if report["labels"]["kind"] == "multi":
        rows = [
            [name, *(number(cell) for row in each for cell in row)] for name, each in zip(names, counts, strict=True)
        ]
        header = ["label", "rightly left out", "given wrongly", "missed", "rightly given"]
        matrix = table(header, rows)
        said = "A pair is one label that is missed in a row in which the other is given wrongly."
    else:
        many = len(names) > _WIDEST
        matrix = (
            note(f"{len(names)} classes are too many to read in one table: the whole matrix is in the JSON file.")
            if many
            else _matrix(names, counts)
        )
        said = "Rows are the right classes, columns those given; colour is the share of a row."
        if "entity_errors" in report:
            said += " “none” is no entity with these very boundaries."
        said = "" if many else said
    pairs = [
        [each["gold"], each["predicted"], number(each["count"]), number(each["share"], 3)]
        for each in report["confused"]
    ]
    parts = [matrix, note(said) if said else None]
    if pairs:
        header = ["right", "given", "times", "share of the right ones"]
        parts += [element("h3", "Most confused"), table(header, pairs[:10], text=(0, 1))]
        if pairs[10:]:
            parts.append(folded(f"{len(pairs) - 10} more", table(header, pairs[10:], text=(0, 1))))
    return Section("confusion", "Confusion", join(*parts))


def _matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    head = element("tr", element("th"), [element("th", name, title=name) for name in names])
    lines = []
    for row, (name, cells) in enumerate(zip(names, counts, strict=True)):
        whole = sum(cells) or 1
        line = [
            element(
                "td",
                number(cell),
                class_="hit" if row == column else "miss",
                style=f"--share: {0.6 * cell / whole:.3f}",
            )
            for column, cell in enumerate(cells)
        ]
        lines.append(element("tr", element("th", name), line))
    return element(
        "div",
        element("table", element("thead", head), element("tbody", lines), class_="matrix"),
        class_="scroll",
    )


def curves_section(report: dict[str, Any]) -> Section:
    """Precision against recall, and confidence against hits."""
    curves = report["curves"]
    supports = {row["label"]: row["support"] for row in report["classes"]}
    lines = sorted(curves["precision_recall"], key=lambda each: -supports.get(each["label"], 0))[:COLOURS]
    frame = Frame(Axis("recall"), Axis("precision"))
    drawn = [frame.line(each["points"], f"line c{place}") for place, each in enumerate(lines)]
    left = len(curves["precision_recall"]) - len(lines)
    caption = "Each class against the rest, at 256 thresholds." + (
        f" Not drawn, but in the JSON file: {left}." if left else ""
    )
    names = [f"{each['label']} (AP {each['average_precision']:.3f})" for each in lines]
    precision = element(
        "figure", element("h3", "Precision and recall"), frame.draw("Precision and recall", drawn), legend(names),
        element("figcaption", caption),
    )  # fmt: skip
    reliability = curves["reliability"]
    frame = Frame(Axis("probability"), Axis("share that was right"))
    most = max((each["count"] for each in reliability["bins"]), default=1)
    shapes = [
        frame.bar(each["from"], each["to"], each["count"] / most, "fill c0 faint") for each in reliability["bins"]
    ]
    shapes.append(frame.line([(0, 0), (1, 1)], "ideal"))
    shapes.append(frame.line([(each["confidence"], each["hit_rate"]) for each in reliability["bins"]], "line c1"))
    shapes += [frame.dot(each["confidence"], each["hit_rate"], "dot c1", 3.5) for each in reliability["bins"]]
    trust = element(
        "figure",
        element("h3", "Reliability"),
        frame.draw("Reliability", shapes),
        element(
            "figcaption", "Expected calibration error ", number(reliability["ece"]),
            ". On the dashed line probabilities are what they say; bars show how many there are, the tallest "
            f"{most:,}.",
        ),
    )  # fmt: skip
    return Section("curves", "Probabilities", element("div", precision, trust, class_="charts"))


def agreement_section(report: dict[str, Any]) -> Section:
    """Given scores beside right ones."""
    low, high = report["labels"]["range"]
    frame = Frame(Axis("right score", low, high), Axis("given score", low, high))
    dots = [
        frame.dot(row["gold"], min(max(row["predicted"], low), high), "dot c0 cloud") for row in report["rows"][:5000]
    ]
    more = f" The first 5,000 of {len(report['rows']):,} rows." if len(report["rows"]) > 5000 else ""
    figure = element(
        "figure",
        frame.draw("Given and right scores", frame.line([(low, low), (high, high)], "ideal"), dots),
        element("figcaption", f"One point a row; on the dashed line the answer is right.{more}"),
    )
    return Section("agreement", "Agreement", figure)


def lengths_section(report: dict[str, Any]) -> Section:
    """Scores by the length of texts."""
    names = [
        f"{part['from']} – {part['to']}" if part["from"] < part["to"] else str(part["from"])
        for part in report["lengths"]
    ]
    said = note("Words of a text (of both, of a pair), in parts of about as many rows.")
    return Section("lengths", "By length", join(_parts("words", names, report["lengths"]), said))


def slices_section(report: dict[str, Any]) -> Section:
    """Scores by columns of the file."""
    tables = [
        join(
            element("h3", each["column"]),
            _parts(each["column"], [part["value"] for part in each["values"]], each["values"]),
        )
        for each in report["slices"]
    ]
    said = note("Macro means are over the classes that a part has. Few rows make wide intervals: mind these first.")
    return Section("slices", "By column", join(tables, said))


def _parts(what: str, names: Sequence[str], parts: Sequence[dict[str, Any]]) -> Markup:
    header: list[Child] = [what, "rows"]
    main = parts[0]["metrics"]
    for metric in main:
        header += [element("code", metric), "from", "to", ""]
    rows = []
    for name, part in zip(names, parts, strict=True):
        row: list[Child] = [name, number(part["rows"])]
        for metric in main:
            each = part["metrics"][metric]
            row += [number(each["value"]), *span_of(each), _bar(each)]
        rows.append(row)
    return table(header, rows)


def span_of(each: dict[str, Any], digits: int = 4) -> tuple[Markup, Markup]:
    """Where a number may lie."""
    return number(each["low"], digits), number(each["high"], digits)


def _bar(each: dict[str, Any]) -> Markup | None:
    ends = (each["low"], each["value"], each["high"])
    if any(end is None or not 0 <= end <= 1 for end in ends):
        return None
    return interval_bar(*ends)


def _is_flat(report: dict[str, Any]) -> bool:
    return bool(report["labels"]["kind"] != "tags")
