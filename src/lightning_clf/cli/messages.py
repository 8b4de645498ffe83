"""jsonargparse's answers to a bad configuration, boiled down to the line that says what is wrong."""

from __future__ import annotations

import re

_NOISE = re.compile(
    r"Does not validate against any of the Union subtypes|Subtypes: .*|Errors:|Given value type: .*|Given value: .*"
    r"|Expected a <class 'NoneType'>.*"
)


def one_line(message: str) -> str:
    """The telling parts of a message of many lines, in one."""
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    telling = [line.rstrip(":.") for line in lines if line and not _NOISE.fullmatch(line)]
    return ": ".join(dict.fromkeys(telling))
