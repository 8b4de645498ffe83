"""Labels of the splits: whether they are what they are taken for, which are missing where, and how uneven they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lightning_clf.counts import ClassCounts
from lightning_clf.data.classes import Classes
from lightning_clf.data.imbalance import recommend
from lightning_clf.examine.columns import NO_VALUES
from lightning_clf.examine.finding import Finding
from lightning_clf.labels import LabelSpace

SEPARATORS = ("|", ";", ",")
"""What tables have between several labels in one cell."""

_SHOWN = 5  # names that are listed
_FEW = {"val": "its score cannot choose the best epoch", "test": "nothing will be known of it"}


def joined_by(names: Sequence[str]) -> str | None:
    """What stands between labels, where names look like several labels in one: `joy|fear` beside `joy`.

    Args:
        names: The names of classes as they are.

    Returns:
        The separator, where a third of the names hold it, and their parts, of which there are fewer, recur among them.
    """
    for separator in SEPARATORS:
        joined = [name for name in names if separator in name]
        parts = [part.strip() for name in names for part in name.split(separator)]
        if 3 * len(joined) >= len(names) > 0 and len(set(parts)) < len(names) and all(parts):
            return separator
    return None


def taken_for(labels: LabelSpace) -> Finding:
    """What the labels are, and whether single ones look like several in one."""
    found = f"{labels.kind}, "
    if labels.range is not None:
        return Finding("ok", "labels", found + f"from {labels.range[0]:g} to {labels.range[1]:g}")
    noun = "entity types" if labels.entity_types else "labels"
    found += f"{len(labels.entity_types or labels.names)} {noun}: {labels.shown}"
    separator = joined_by(labels.names) if labels.kind == "single" else None
    if separator is None:
        doubts = doubtful(labels)
        advice = "; ".join(remedy for _, remedy in doubts)
        return Finding(
            "warning" if doubts else "ok", "labels", "; ".join([found, *(doubt for doubt, _ in doubts)]), advice
        )
    remedy = f"take MultiLabelClassifier and MultiLabelDataModule with data.label_separator {separator!r}"
    return Finding("warning", "labels", f"{found}, which look like several joined by {separator!r}", remedy)


def doubtful(labels: LabelSpace) -> list[tuple[str, str]]:
    """What of the names of labels may be a mistake, and what to do about each."""
    names = labels.entity_types or labels.names if labels.kind != "score" else ()
    doubts = []
    if alike := _alike(names):
        doubts.append((f"{alike} differ by case alone", "write them alike, or keep both"))
    if empty := " and ".join(repr(name) for name in names if name in NO_VALUES):
        doubts.append((f"{empty} is what programs write into an empty cell", "take such rows out, or keep the label"))
    return doubts


def _alike(names: Sequence[str]) -> str:
    """The first names that are one but for the case of letters."""
    by_lower: dict[str, list[str]] = {}
    for name in names:
        by_lower.setdefault(name.casefold(), []).append(name)
    return next((" and ".join(map(repr, some)) for some in by_lower.values() if len(some) > 1), "")


def missing_labels(counts: Mapping[str, ClassCounts]) -> Iterator[Finding]:
    """Labels that a split does not have.

    Args:
        counts: How often `train`, `val` and `test` have each label, for those there are.
    """
    for name, its_counts in counts.items():
        classes = Classes.of(its_counts)
        if not classes.absent:
            yield Finding("ok", f"labels of {name}", f"has all {len(classes.names)} {classes.noun}")
            continue
        names = ", ".join(classes.absent[:_SHOWN]) + (" …" if len(classes.absent) > _SHOWN else "")
        found = f"lacks {len(classes.absent)} of {len(classes.names)} {classes.noun}: {names}"
        if name == "train":
            advice = "none of them can be learned; add examples, or take them out of data.labels"
        else:
            advice = f"{_FEW[name]}; add examples, or bear it in mind"
        yield Finding("warning", f"labels of {name}", found, advice)


def imbalance(counts: ClassCounts, *, is_met: bool) -> Finding | None:
    """How uneven train is, if it has two classes or more.

    Args:
        counts: How often train has each label.
        is_met: Whether the configuration does something about it already.
    """
    classes = Classes.of(counts)
    if len(classes.present) < 2:
        return None
    most, least = classes.present[0], classes.present[-1]
    advice = recommend(counts.labels.kind, classes.counts[most] / classes.counts[least])
    often, seldom = (f"{classes.names[place]} {classes.counts[place]} times" for place in (most, least))
    found = f"train has {often} and {seldom}"
    if not advice:
        return Finding("ok", "imbalance", found)
    if is_met:
        return Finding("ok", "imbalance", f"{found}, for which loss or sampling are set")
    return Finding("warning", "imbalance", found, f"try {advice}")
