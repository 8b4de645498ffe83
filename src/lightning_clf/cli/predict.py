"""`lightning-clf predict`."""

from __future__ import annotations

import argparse
from typing import Any

from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.options import Parser, positive


def run(words: list[str]) -> None:
    """Answer the rows of a file.

    Raises:
        InputError: If an option, the model or a row is not as it should be.
    """
    options = _parser().parse_args(words)

    with importing():
        import torch

        from lightning_clf.cpu import keep_freed_memory
        from lightning_clf.graph import load_runnable
        from lightning_clf.inference import Classifier, predict_file

    if (options.device or "cpu") == "cpu":
        keep_freed_memory()

    columns = {"text": options.text_column, "text_pair": options.text_pair_column, "tokens": options.tokens_column}
    given = {role: name for role, name in columns.items() if name is not None}
    classifier = Classifier(load_runnable(options.model), given)
    classifier.to(options.device, torch.bfloat16 if options.precision == "bf16-true" else None)
    predict_file(
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
    )


def readable(answer: dict[str, Any]) -> str:
    """An answer as a person would read it."""
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


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="lightning-clf predict",
        description="Answer every row of a file, in the order of the rows.",
        allow_abbrev=False,
    )
    parser.add_argument("--model", required=True, help="a checkpoint (.ckpt) or an export folder, such as RUN/best")
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
    parser.add_argument("--batch-size", type=positive, default=32, help="rows in one forward pass (default: 32)")
    parser.add_argument("--text-column", help="the column of the text (default: the one trained on)")
    parser.add_argument("--text-pair-column", help="the column of a pair's second text (default: the one trained on)")
    parser.add_argument("--tokens-column", help="the column of the words of a tagger (default: the one trained on)")
    parser.add_argument("--device", help="where to run, such as cuda (default: cpu)")
    parser.add_argument(
        "--precision",
        choices=("32-true", "bf16-true"),
        default="32-true",
        help="bf16-true is faster where the machine multiplies bfloat16, and less exact (default: 32-true)",
    )
    parser.add_argument("--pretty", action="store_true", help="write answers for reading instead of JSON")
    return parser


def _shard(text: str) -> tuple[int, int]:
    number, separator, parts = text.partition("/")
    if not (separator and number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text} is no part such as 1/8, from 1/N to N/N")
    return int(number), int(parts)
