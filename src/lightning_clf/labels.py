"""The label space: which answers there are, in which order, and of which kind."""

from __future__ import annotations

import math
import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from lightning_clf.errors import InputError, a_type
from lightning_clf.schemes import SCHEMES, Scheme, entity_types, full_tagset

_WHOLE_NUMBER = re.compile(r"(-?[0-9]{1,18})(?:\.0+)?")  # of no more digits than 64 bits hold
_SURROGATE = re.compile("[\ud800-\udfff]")
Kind = Literal["single", "multi", "tags", "score"]


@dataclass(frozen=True)
class LabelSpace:
    """The ordered label names of a task and their kind.

    A label's index is its position in `names`. A score has the one name `score` and a range.

    Attributes:
        names: The label names, in the order of the model's outputs.
        kind: `single` (one of C), `multi` (any of C), `tags` (one of C a word), `score` (one real number).
        scheme: For tags, how spans are written: `IOB1`, `IOB2`, `BIOES`, or `none` for tags that are not spans.
        range: For scores, the smallest and the largest value a row may have.
    """

    names: tuple[str, ...]
    kind: Kind
    scheme: Scheme | None = None
    range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse a space no model could learn, before anything is built on it."""
        if self.kind not in get_args(Kind):
            raise InputError(f"label kind {self.kind!r} is unknown: use one of {', '.join(get_args(Kind))}")
        object.__setattr__(self, "names", tuple(self.names))
        for name in self.names:
            if not isinstance(name, str) or not name.strip():
                raise InputError(f"label {name!r} is not a non-empty string: fix data.labels or the label column")
            if _SURROGATE.search(name):
                raise InputError(f"label {name!r} holds half a surrogate pair: correct data.labels or the label column")
        duplicates = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if duplicates:
            raise InputError(f"duplicate label name {duplicates[0]!r}: each name may stand once in data.labels")
        if self.kind == "tags":
            if self.scheme not in SCHEMES:
                raise InputError(f"tag scheme {self.scheme!r} is unknown: use one of {', '.join(SCHEMES)}")
            entity_types(self.names, self.scheme)
        elif self.scheme is not None:
            raise InputError(f"labels of kind {self.kind} have no tag scheme, but {self.scheme!r} was given")
        if self.kind == "score":
            low, high = self.range or (math.nan, math.nan)
            if self.names != ("score",) or not 0 < high - low < math.inf:  # false also where one is NaN or infinite
                raise InputError(
                    f"a score needs a range of two finite numbers, the smaller first, not {list(self.range or ())}: "
                    "set data.score_range to one such as [1.0, 5.0]"
                )
        elif len(self.names) < (1 if self.kind == "multi" else 2):
            found = f"only {self.names[0]!r}" if self.names else "none"
            raise InputError(
                f"a {self.kind} task needs at least two labels, but {found} was found: check the column of labels, or "
                "data.labels"
            )

    @classmethod
    def of(cls, names: Iterable[str], kind: Literal["single", "multi"]) -> LabelSpace:
        """A space over names in the order given."""
        return cls(tuple(names), kind)

    @classmethod
    def tags(cls, types: Sequence[str], scheme: Scheme) -> LabelSpace:
        """The tags of a scheme: for spans, `O` and every prefix with every type; for `none`, the types themselves."""
        return cls(tuple(full_tagset(types, scheme)), "tags", scheme)

    @classmethod
    def score(cls, low: float, high: float) -> LabelSpace:
        """One real number between `low` and `high`."""
        return cls(("score",), "score", range=(float(low), float(high)))

    def __len__(self) -> int:
        """The number of model outputs, C."""
        return len(self.names)

    def index(self, name: str) -> int:
        """The position of a label.

        Raises:
            InputError: If the space has no such label.
        """
        try:
            return self._positions[name]
        except KeyError:
            known = ", ".join(self.names[:12]) + (" …" if len(self.names) > 12 else "")
            raise InputError(
                f"label {name!r} is not among the labels ({known}): correct it, or declare it in data.labels"
            ) from None

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @property
    def entity_types(self) -> tuple[str, ...]:
        """For tags with spans, the entity types in order of first appearance; otherwise nothing."""
        return entity_types(self.names, self.scheme) if self.scheme is not None else ()

    @property
    def shown(self) -> str:
        """The labels as a message shows them: of tags with spans the types, and of many the first twelve."""
        names = self.entity_types or self.names
        return ", ".join(names[:12]) + (" …" if len(names) > 12 else "")

    @property
    def outside(self) -> int:
        """The index of the tag a word has when nothing is known of it: `O`, or the first tag where there is no `O`."""
        return self._positions.get("O", 0)

    @property
    def id2label(self) -> dict[int, str]:
        """Index to name, as `transformers` configurations hold it."""
        return dict(enumerate(self.names))

    def to_dict(self) -> dict[str, Any]:
        """The space in primitives, for checkpoints and exports."""
        return {
            "names": list(self.names),
            "kind": self.kind,
            "scheme": self.scheme,
            "range": list(self.range) if self.range else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LabelSpace:
        """The space that `to_dict` wrote.

        Raises:
            InputError: If it is none.
        """
        if not isinstance(data, Mapping):
            raise InputError(
                f"labels {reprlib.repr(data)} are not what LabelSpace.to_dict writes ({a_type(data)}): leave them out "
                "to take those of the data, or give LabelSpace.of(names, kind).to_dict()"
            )
        try:
            limits = data.get("range")
            return cls(tuple(data["names"]), data["kind"], data.get("scheme"), tuple(limits) if limits else None)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"labels {reprlib.repr(data)} are not what LabelSpace.to_dict writes ({type(error).__name__}: "
                f"{error}): leave them out to take those of the data"
            ) from error


def whole_number(name: str) -> str | None:
    """The digits of a name that is a whole number, written with a fraction of zeros or without: `3` for `3.0`."""
    match = _WHOLE_NUMBER.fullmatch(name)
    return match[1] if match is not None else None


def sort_names(names: Iterable[str]) -> list[str]:
    """The default order of labels nobody declared: integers numerically, anything else alphabetically."""
    unique = sorted(set(names))
    if all(whole_number(name) == name for name in unique):
        return sorted(unique, key=int)
    return unique
