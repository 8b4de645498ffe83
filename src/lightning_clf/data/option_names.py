"""What reads rows speaks of keys of training; a command has options in their place."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from lightning_clf.data.rows import UnknownLabelError
from lightning_clf.errors import InputError

_KEYS = re.compile(r"data\.((?:text|text_pair|label|tokens|tags|group)_column|label_separator)")


@contextlib.contextmanager
def naming_options() -> Iterator[None]:
    """Have messages of bad input name `--text-column` and its like."""
    try:
        yield
    except UnknownLabelError:
        raise  # whose labels they are, who asks knows better
    except InputError as error:
        raise InputError(
            _KEYS.sub(_option, str(error)).replace(" (or data.label_columns)", "").replace("set --", "give --")
        ) from error


def _option(match: re.Match[str]) -> str:
    return "--" + match[1].replace("tags_column", "label_column").replace("_", "-")
