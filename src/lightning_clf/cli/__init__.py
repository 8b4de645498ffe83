"""The command line: `lightning-clf COMMAND`; its help lists the commands.

This file imports nothing heavy, so that `--help` and a mistyped command answer at once.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence

from lightning_clf.cli.interrupts import INTERRUPTED, SAID, importing
from lightning_clf.cli.quiet import plain_warnings
from lightning_clf.errors import InputError, SharedError

__all__ = ["main"]

_HELP = """\
usage: lightning-clf COMMAND [options]

Fine-tune a transformer encoder to classify texts, pairs of texts or words, and use the result.

commands:
  init       write a configuration for your own data: lightning-clf init my.csv
  doctor     examine a fit before any of its time is spent: lightning-clf doctor --config config.yaml
  augment    ask a language model for rows or labels: lightning-clf augment --data train.jsonl --output added.jsonl …
  fit        train: lightning-clf fit --config ner.yaml
  validate   score a checkpoint on the dev split
  test       score a checkpoint on the test split: lightning-clf test --ckpt_path RUN/best.ckpt
  predict    answer a file of rows: lightning-clf predict --model RUN/best --input rows.jsonl --output answers.jsonl
  calibrate  fit probabilities to held-out rows: lightning-clf calibrate --model RUN/best --input dev.jsonl --output NEW
  cascade    have a language model answer what the model is unsure of: lightning-clf cascade --model RUN/best ...
  report     what a model does, as a page: lightning-clf report --model RUN/best --input dev.jsonl --output report.html
  export     write for transformers or onnxruntime: lightning-clf export --model RUN/best --format onnx --output NEW
  serve      answer texts over HTTP: lightning-clf serve --model RUN/best

A configuration is looked up in the working folder first, then among those that are shipped; several add up.
lightning-clf COMMAND --help says what a command takes. --traceback shows where an error came from. --import MODULE
imports a module of your own first, which a model made with its classes needs.
"""
_TRAINING = ("fit", "validate", "test")
_PLAIN = ("init", "doctor", "augment", "predict", "calibrate", "cascade", "report", "export", "serve")
"""Commands that are each a file here, whose `run` takes the options and returns an exit code, or none where it is 0."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        args: The words after `lightning-clf`; `None` takes those of the process.

    Returns:
        The exit code: 0 done, 2 bad input or configuration, 130 stopped by Ctrl-C, 143 by SIGTERM. What else goes wrong
        is raised, and ends the process with 1.
    """
    words = list(sys.argv[1:] if args is None else args)
    show_traceback = "--traceback" in words
    words = _with_their_numbers([word for word in words if word != "--traceback"])
    try:
        with plain_warnings():
            words, modules = _without_imports(words)
            return _run(words, modules)
    except SystemExit as end:  # --help and --print_config end this way
        return int(end.code or 0)
    except InputError as error:
        if show_traceback:
            traceback.print_exc()
        if not isinstance(error, SharedError):
            print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:  # which holds what a command has to say of it
        if show_traceback:
            traceback.print_exc()
        print(f"{SAID}{stop}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output went away, as `head` does: not an error, and nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _with_their_numbers(words: list[str]) -> list[str]:
    """The words with `--key -1e-4` as `--key=-1e-4`: argparse would take such a number for an option."""
    joined: list[str] = []
    for word in words:
        if joined and re.fullmatch(r"--[^=]+", joined[-1]) and re.fullmatch(r"-[\d.]+[eE][+-]?\d+", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _without_imports(words: list[str]) -> tuple[list[str], list[str]]:
    """The words without every `--import MODULE`, and the modules."""
    rest, modules = [], []
    remaining = iter(words)
    for word in remaining:
        option, separator, value = word.partition("=")
        if option != "--import":
            rest.append(word)
            continue
        module = value if separator else next(remaining, "")
        if not module:
            raise InputError("--import names no module: give one, as in --import parts")
        modules.append(module)
    return rest, modules


def _import(module: str) -> None:
    try:
        with importing():
            importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"--import {module}: {error}: install the package that defines it, or run the command in its folder"
        ) from error


def _run(words: list[str], modules: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_HELP, end="")
        return 0
    command, *options = words
    # a user's own classes lie in the working folder more often than in an installed package; last, so that they
    # can shadow nothing
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for module in modules:
        _import(module)
    if command in _TRAINING:
        with importing():
            from lightning_clf.cli.training import run_training

        run_training(command, options)
    elif command in _PLAIN:
        run: Callable[[list[str]], int | None] = importlib.import_module(f"{__name__}.{command}").run
        return run(options) or 0
    elif command in ("--version", "-V"):
        from importlib.metadata import version

        print(version("lightning-clf"))
    else:
        *names, last = re.findall(r"^  (\w+)  ", _HELP, flags=re.MULTILINE)
        raise InputError(f"command {command!r} is unknown: use {', '.join(names)} or {last}")
    return 0
