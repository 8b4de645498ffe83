"""`lightning-clf predict`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.options import Parser, load_for, named_columns, positive, weights_type
from lightning_clf.errors import InputError

if TYPE_CHECKING:
    from lightning_clf.inference import RayEngine


def run(words: list[str]) -> None:
    """Answer the rows of a file.

    Raises:
        InputError: If an option, the model or a row is not as it should be.
    """
    options = _parser().parse_args(words)

    if options.workers is not None and options.engine != "ray":
        raise InputError("--workers is of --engine ray: add it, or leave out --workers")
    engine = _ray(options) if options.engine == "ray" else None

    with importing():
        from lightning_clf.inference import load_predictor, predict_file

    predict_file(
        load_for(options) if engine is None else load_predictor(options.model, named_columns(options)),
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


def _ray(options: argparse.Namespace) -> RayEngine:
    with importing():
        from lightning_clf.inference import RayEngine

        return RayEngine(options.model, options.workers, options.device, weights_type(options))


def readable(answer: dict[str, Any]) -> str:
    """An answer as a person would read it."""
    if all(isinstance(value, dict) for value in answer.values()):
        return "; ".join(f"{task}: {readable(one)}" for task, one in answer.items())
    if "tokens" in answer:
        return _readable_tags(answer)
    if "score" in answer:
        return f"{answer['score']:.3f}"
    if "label" in answer:
        return _with(answer["label"], answer["probability"]) + (" abstained" if answer.get("abstained") else "")
    return ", ".join(_with(name, answer["probabilities"].get(name)) for name in answer["labels"]) or "(none)"


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
    parser.add_argument("--pretty", action="store_true", help="write answers for reading instead of JSON")
    return parser


def _shard(text: str) -> tuple[int, int]:
    number, separator, parts = text.partition("/")
    if not (separator and number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text} is no part such as 1/8, from 1/N to N/N")
    return int(number), int(parts)
