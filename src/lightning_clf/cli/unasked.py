"""A configuration that nobody named: the one that a checkpoint lies beside, and that came with it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lightning_clf.cli.strict_yaml import read_config, strings
from lightning_clf.component import is_foreign
from lightning_clf.errors import InputError

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_TRUSTED = ("lightning_clf", "lightning", "torch", "torchmetrics", "transformers")
"""Packages whose classes a configuration may name."""


def check_classes(config: Path) -> None:
    """Hold what a configuration names against what may be imported unasked.

    Raises:
        InputError: If it names a module that is neither of the packages used here nor imported yet.
    """
    for text in strings(read_config(config)):
        module = text.rpartition(".")[0]
        if _DOTTED.fullmatch(text) and module.partition(".")[0] not in _TRUSTED and is_foreign(module):
            raise InputError(
                f"{config} names {text!r}, which is not this library's and is not run unasked: if you trust it, add "
                f"--import {module}, or name the file with --config {config}"
            )


@contextmanager
def trusted_imports(words: Sequence[str]) -> Iterator[None]:
    """A context in which parsing imports nothing but what may be imported unasked, however it is written.

    A value may be a text that is itself a configuration, or the name of a further file, which `check_classes` does not
    look into.

    Args:
        words: What the user typed; the classes named there are asked for, but for what is the name of a file, as
            `best.ckpt` is in its own folder.
    """
    from jsonargparse import set_parsing_settings  # late: it is heavy, and `doctor --help` has no use for it
    from jsonargparse._common import parsing_settings

    values = [word.rpartition("=")[2] for word in words]
    asked = {value.partition(".")[0] for value in values if _DOTTED.fullmatch(value) and not Path(value).exists()}
    before = dict(parsing_settings)
    # what was imported before has been run
    packages = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    allowed = sorted(name for name in {*packages, *asked, *_TRUSTED} - {"jsonargparse"} if name.isidentifier())
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=allowed)
    try:
        yield
    finally:
        parsing_settings.update(before)  # there is no call that takes an entry back
