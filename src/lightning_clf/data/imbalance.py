"""How unevenly train has its labels, in a few lines, and what was measured to help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lightning_clf.counts import ClassCounts
from lightning_clf.data.classes import Classes
from lightning_clf.labels import Kind

WORTH_SAYING = 3
"""From which ratio on the report is made; labels absent from train are always worth it."""

_FEW = 5  # rarest classes that are listed
_MANY = 12  # absent ones that are listed

_ONE_OF_MANY: frozenset[Kind] = frozenset({"single", "tags"})
_ANY_OF_MANY: frozenset[Kind] = frozenset({"multi"})


@dataclass(frozen=True)
class Rule:
    """What is recommended for some train splits.

    Attributes:
        kinds: The kinds of label.
        ratio: The lowest ratio of the most frequent class to the rarest.
        advice: What to try, in keys of the configuration. Empty where nothing helped.
    """

    kinds: frozenset[Kind]
    ratio: float
    advice: str


# from the tables of docs/hard_data.md. The first rule that holds is taken, so that those of high ratios come first
RULES = (
    Rule(_ANY_OF_MANY, 5, "model.loss: AsymmetricLoss, with data.sampling: OverSampling for the rarest"),
    Rule(_ANY_OF_MANY, 0, ""),
    Rule(_ONE_OF_MANY, 100, "model.loss: LogitAdjustedLoss, or model.class_weights: inverse"),
    Rule(_ONE_OF_MANY, 0, ""),
)


def recommend(kind: Kind, ratio: float) -> str:
    """What the rules recommend, empty where nothing helped.

    Args:
        kind: The kind of label.
        ratio: How often the most frequent class occurs for each time the rarest does.
    """
    return next((rule.advice for rule in RULES if kind in rule.kinds and ratio >= rule.ratio), "")


def meets_imbalance(module: Any, sampling: object | None) -> bool:
    """Whether something is done about imbalance already.

    Args:
        module: What is trained; of another library's nothing is known.
        sampling: `data.sampling`.
    """
    if sampling is not None or not hasattr(module, "default_loss") or module.loss is None:
        return sampling is not None
    return bool(module.loss.spec() != module.default_loss(None).spec())


def report(counts: ClassCounts, rows: int, *, is_advised: bool = True, is_met: bool = False) -> list[str]:
    """The imbalance of train in plain words.

    Args:
        counts: How often train has each label.
        rows: How many rows it has.
        is_advised: Whether to say what to try.
        is_met: Whether the configuration does something about it already.

    Returns:
        A few lines; none for scores, and where labels are about as frequent as each other and none is absent.
    """
    kind = counts.labels.kind
    if kind == "score":
        return []
    classes = Classes.of(counts)
    most, least = (classes.counts[classes.present[end]] if classes.present else 1 for end in (0, -1))
    if most < WORTH_SAYING * least and not classes.absent:
        return []
    advice = recommend(kind, most / least) if is_advised else None
    return list(_lines(classes, advice, rows, is_met=is_met))


def _lines(classes: Classes, advice: str | None, rows: int, *, is_met: bool) -> Iterator[str]:
    present, size = classes.present, f"train has {rows} {classes.unit}"
    if not present:
        yield f"{size} and none of the {len(classes.names)} {classes.noun}"
    elif len(present) == 1:
        yield f"{size} and one of the {len(classes.names)} {classes.noun}: {_counted(classes, present)}"
    else:
        ratio = _ratio(classes.counts[present[0]], classes.counts[present[-1]])
        yield (
            f"{size} and {len(present)} {classes.noun}: most frequent {_counted(classes, present[:1])}, least frequent "
            f"{_counted(classes, present[-1:])}, which is {ratio}"
        )
        if len(present) > 2:
            yield f"rarest {classes.noun}: {_counted(classes, present[::-1][:_FEW])}"
    if classes.absent:
        shown = ", ".join(classes.absent[:_MANY]) + (" …" if len(classes.absent) > _MANY else "")
        yield f"{classes.noun} without an example in train, which cannot be learned: {shown}"
    if len(present) > 1 and advice is not None:
        if is_met:
            yield f"for {ratio}, loss or sampling are set"
        else:
            yield f"to be tried at {ratio}: {advice}" if advice else f"at {ratio} the plain loss is a good start"


def _counted(classes: Classes, places: list[int]) -> str:
    return ", ".join(f"{classes.names[place]} {classes.counts[place]}" for place in places)


def _ratio(most: int, least: int) -> str:
    """`53:1`; below ten with one decimal, never rounded up to what it does not reach."""
    tenths = most * 10 // least
    whole, rest = divmod(tenths, 10)
    return f"{whole}.{rest}:1" if whole < 10 and rest else f"{whole}:1"
