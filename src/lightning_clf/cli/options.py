"""What the commands have in common that take plain options rather than a configuration."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, NoReturn

from lightning_clf.cli.interrupts import importing
from lightning_clf.errors import InputError

if TYPE_CHECKING:
    import torch

    from lightning_clf.inference import Predictor

_INPUTS = {
    "text": "the column of the text (default: the one trained on)",
    "text_pair": "the column of a pair's second text (default: the one trained on)",
    "tokens": "the column of the words of a tagger (default: the one trained on)",
}
_LABEL = "the column of what is right (default: label, labels, tags or score, whichever the task has)"
_GROUP = "the column that rows share which are ranked together, of two labels (default: the one trained on, if any)"


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are an `InputError`, and which takes no option that is cut short."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"lightning-clf {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the options, and where help is."""
        raise InputError(f"{message}: see {self.prog} --help")

    def add_model(self, *, required: bool = True) -> None:
        """`--model`."""
        self.add_argument(
            "--model", required=required, help="a checkpoint (.ckpt) or an export folder, such as RUN/best"
        )

    def add_columns(self, *, labelled: bool) -> None:
        """`--text-column` and its like, which `named_columns` takes together; those of answers where they are read."""
        for role, said in _INPUTS.items():
            self.add_argument(_option(role), help=said)
        if labelled:
            self.add_argument(_option("label"), help=_LABEL)
            self.add_argument("--label-separator", help="what stands between the labels of a cell, such as |")

    def add_group_column(self) -> None:
        """`--group-column`, which `named_columns` takes too."""
        self.add_argument(_option("group"), help=_GROUP)

    def add_batch_size(self) -> None:
        """`--batch-size`."""
        self.add_argument("--batch-size", type=positive, default=64, help="rows in one forward pass (default: 64)")

    def add_device(self) -> None:
        """`--device`."""
        self.add_argument("--device", help="where to run, such as cuda (default: cpu)")

    def add_precision(self) -> None:
        """`--precision`."""
        self.add_argument(
            "--precision",
            choices=("32-true", "bf16-true"),
            default="32-true",
            help="bf16-true is faster where the machine multiplies bfloat16, and less exact (default: 32-true)",
        )


def _option(role: str) -> str:
    return f"--{role.replace('_', '-')}-column"


def named_columns(options: argparse.Namespace) -> dict[str, str]:
    """The columns that options name, by role, and the `separator` of labels."""
    named = {role: getattr(options, f"{role}_column", None) for role in (*_INPUTS, "label", "group")}
    named["separator"] = getattr(options, "label_separator", None)
    return {role: name for role, name in named.items() if name is not None}


def load_for(options: argparse.Namespace) -> Predictor:
    """The model that options name, with their columns, on their device and in their precision."""
    with importing():
        from lightning_clf.cpu import keep_freed_memory
        from lightning_clf.inference import load_predictor

    if (options.device or "cpu") == "cpu":
        keep_freed_memory()
    classifier = load_predictor(options.model, named_columns(options))
    return classifier.to(options.device, weights_type(options))


def weights_type(options: argparse.Namespace) -> torch.dtype | None:
    """The type of weights that options name; `None` is that which they have."""
    import torch

    return torch.bfloat16 if options.precision == "bf16-true" else None


def positive(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 up")
    return int(text)


def count(text: str) -> int:
    """A whole number from 0 up."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 up")
    return int(text)


def share(text: str) -> float:
    """A number above 0 and at most 1."""
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share above 0 and at most 1, such as 0.9")
    return value


def amount(text: str) -> float:
    """A number from 0 up, such as a price."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 up")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # which is within no bounds
