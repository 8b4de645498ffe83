"""`lightning-clf predict`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_clf.cli.asking import add_endpoint, followed
from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.lines import say_written
from lightning_clf.cli.options import Parser, load_for, named_columns, positive, weights_type
from lightning_clf.errors import InputError, printable
from lightning_clf.files import check_apart

if TYPE_CHECKING:
    from lightning_clf.inference import Predictor, RayEngine
    from lightning_clf.language_models import Journal


def run(words: list[str]) -> None:
    """Answer the rows of a file.

    Raises:
        InputError: If an option, the model or a row is not as it should be.
    """
    options = _parser().parse_args(words)

    if options.workers is not None and options.engine != "ray":
        raise InputError("--workers is of --engine ray: add it, or leave out --workers")
    engine = _ray(options) if options.engine == "ray" else None

    if engine is not None and options.endpoint is not None:
        raise InputError("--endpoint is not for --engine ray, whose workers ask nobody: leave out one of them")
    if options.replies is not None and options.endpoint is None:
        raise InputError("--replies is of --endpoint: add it, or leave out --replies")
    if options.replies is not None:
        _check_replies(options)
    classifier = load_for(options) if engine is None else _load(options)
    with _journal(options) as journal:
        cascaded = followed(options, classifier, journal)
        _answer(options, cascaded or classifier, engine)
    if cascaded is not None and cascaded.failed:
        print(
            f"warning: {cascaded.failed} of {cascaded.asked} rows that the language model was asked about have the "
            f"classifier's own answer; the first: {cascaded.first}",
            file=sys.stderr,
        )


def _check_replies(options: argparse.Namespace) -> None:
    """What keeps replies is no file of rows or answers, which it would be appended to, or replaced by."""
    with importing():
        from lightning_clf.inference.files import rejected_file

    rejected = options.rejected or rejected_file(options.output)
    check_apart("--replies", options.replies, [options.input, options.output, rejected])


def _load(options: argparse.Namespace) -> Predictor:
    with importing():
        from lightning_clf.inference import load_predictor

    return load_predictor(options.model, named_columns(options))


@contextlib.contextmanager
def _journal(options: argparse.Namespace) -> Iterator[Journal | None]:
    """What keeps replies, where a file for them is named."""
    if options.replies is None:
        yield None
        return
    from lightning_clf.language_models import Journal

    with Journal(Path(options.replies), resume=options.resume, attempts=1) as journal:
        yield journal


def _answer(options: argparse.Namespace, classifier: Predictor, engine: RayEngine | None) -> None:
    with importing():
        from lightning_clf.inference import predict_file
        from lightning_clf.inference.sinks import is_stream

    to_file = not is_stream(options.output)
    try:
        answered = predict_file(
            classifier,
            options.input,
            options.output,
            batch_size=options.batch_size,
            show=readable if options.pretty else None,
            carry=options.carry,
            strict=options.strict,
            rejected=options.rejected,
            resume=options.resume,
            shard=options.shard,
            engine=engine,
        )
    except KeyboardInterrupt as stop:
        goes_on = to_file and not is_stream(options.input)
        raise KeyboardInterrupt("; the same command with --resume goes on" if goes_on else "") from stop
    if to_file:  # else standard output is for answers
        say_written(options.output, answered)


def _ray(options: argparse.Namespace) -> RayEngine:
    with importing():
        from lightning_clf.inference import RayEngine

        return RayEngine(options.model, options.workers, options.device, weights_type(options))


def readable(answer: dict[str, Any]) -> str:
    """An answer as a person would read it, in one line whatever its words hold."""
    return printable(_readable(answer))


def _readable(answer: dict[str, Any]) -> str:
    if all(isinstance(value, dict) for value in answer.values()):
        return "; ".join(f"{task}: {_readable(one)}" for task, one in answer.items())
    if "tokens" in answer:
        return _readable_tags(answer)
    if "score" in answer:
        return f"{answer['score']:.3f}"
    if "label" in answer:
        shown = _with(answer["label"], answer["probability"]) + (" abstained" if answer.get("abstained") else "")
    else:
        shown = ", ".join(_with(name, answer["probabilities"].get(name)) for name in answer["labels"]) or "(none)"
    return shown + (" by the language model" if answer.get("answered_by") == "language_model" else "")


def _with(name: str, probability: float | None) -> str:
    return name if probability is None else f"{name} ({probability:.3f})"


def _readable_tags(answer: dict[str, Any]) -> str:
    words: list[str] = list(answer["tokens"])
    if "entities" not in answer:
        return " ".join(f"{word}/{tag}" for word, tag in zip(words, answer["tags"], strict=True))
    for entity in answer["entities"]:
        words[entity["start"]] = "[" + words[entity["start"]]
        words[entity["end"] - 1] += f" | {entity['type']}]"
    return " ".join(words)


def _parser() -> Parser:
    parser = Parser(
        "predict",
        "Answer every row of a file, in the order of the rows.",
    )
    parser.add_model()
    parser.add_argument(
        "--input", required=True, help="a .jsonl, .csv, .tsv, .parquet or .conll file, .txt of one input a line, or -"
    )
    parser.add_argument(
        "--output",
        help="the file to write, by its suffix .csv, .tsv, .parquet or JSON lines; left out or -, they are printed",
    )
    parser.add_argument(
        "--carry",
        nargs="*",
        metavar="COLUMN",
        help="the columns of a row to write beside its answer; alone, none (default: all)",
    )
    parser.add_argument("--strict", action="store_true", help="end at the first row that cannot be read")
    parser.add_argument(
        "--rejected", metavar="FILE", help="where rows go that cannot be read (default: OUTPUT.rejected.jsonl)"
    )
    parser.add_argument("--resume", action="store_true", help="go on where a run with the same words was killed")
    parser.add_argument("--shard", type=_shard, metavar="I/N", help="answer only part I of N, such as 1/8")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="what runs it (default: local)")
    parser.add_argument(
        "--workers", type=positive, help="models on Ray (default: one a GPU where --device is cuda, else one a core)"
    )
    parser.add_batch_size()
    parser.add_columns(labelled=False)
    parser.add_device()
    parser.add_precision()
    add_endpoint(parser, "follow the model's cascade: send the texts it is unsure of to this address")
    parser.add_argument(
        "--replies",
        metavar="FILE",
        help="a file that keeps replies, for which --resume does not ask again",
    )
    parser.add_argument("--pretty", action="store_true", help="write answers for reading instead of JSON")
    return parser


def _shard(text: str) -> tuple[int, int]:
    number, separator, parts = text.partition("/")
    if not (separator and number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text} is no part such as 1/8, from 1/N to N/N")
    return int(number), int(parts)
