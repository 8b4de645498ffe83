"""What the commands have in common that take plain options rather than a configuration."""

from __future__ import annotations

import argparse
from typing import NoReturn

from lightning_clf.errors import InputError


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are an `InputError`."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the options, and where help is."""
        raise InputError(f"{message}: see {self.prog} --help")


def positive(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 up")
    return int(text)


def share(text: str) -> float:
    """A number above 0 and at most 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share above 0 and at most 1, such as 0.9")
    return value
