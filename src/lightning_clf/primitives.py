"""Dataclasses of primitives, as checkpoints and exports hold them, that are read back strictly."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self


class Part:
    """A part of what is stored: a dataclass of primitives, of tuples of them, and of other parts.

    Attributes:
        parts: The fields that are other parts, by name.
    """

    parts: ClassVar[Mapping[str, type[Part]]] = {}

    def to_dict(self) -> dict[str, Any]:
        """The part in primitives."""
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, stored: Any, name: str) -> Self:
        """The part that `to_dict` wrote.

        Args:
            stored: What was read.
            name: What a message calls it.

        Raises:
            ValueError: If it is none.
        """
        known = [entry.name for entry in dataclasses.fields(cls)]  # type: ignore[arg-type]
        if not isinstance(stored, dict) or set(stored) != set(known):
            found = ", ".join(map(str, stored)) if isinstance(stored, dict) else repr(stored)
            raise ValueError(f"{name} holds {found or 'nothing'}, not {', '.join(known)}")
        return cls(**{key: cls._read(key, value, name) for key, value in stored.items()})

    @classmethod
    def _read(cls, key: str, value: Any, name: str) -> Any:
        if key in cls.parts:
            return cls.parts[key].from_dict(value, f"the {key} of {name}")
        return tuple(value) if isinstance(value, list) else value


def check_stored(
    name: str, value: Any, *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf
) -> None:
    """Hold what was stored as a number against its bounds.

    Raises:
        ValueError: If it is none, is not finite, or is out of bounds.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not least <= value <= most or not value > above:
        raise ValueError(f"{name} is {value!r}, which it cannot be")
