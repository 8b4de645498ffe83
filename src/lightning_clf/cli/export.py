"""`lightning-clf export`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.lines import say_written
from lightning_clf.cli.options import Parser, named_columns

if TYPE_CHECKING:
    from lightning_clf.exporting import Export


def run(words: list[str]) -> None:
    """Write a model for others, check it, and push it if that is asked for.

    Raises:
        InputError: If an option, the model or a row is not as it should be, or the export answers otherwise.
    """
    options = _parser().parse_args(words)

    with importing():
        from lightning_clf.exporting import PICKLE_WARNING, check_repository, export, push

    if options.push_to_hub is not None:
        check_repository(options.push_to_hub)
    made = export(options.model, options.format, options.output, options.input, named_columns(options))
    print(table(made), end="")
    say_written(options.output)
    if made.format == "setfit":
        print(f"warning: {PICKLE_WARNING}", file=sys.stderr)
    if options.push_to_hub is not None:
        print(f"pushed to {push(options.output, options.push_to_hub)}")


def table(export: Export) -> str:
    """What an export is against its model, for reading."""
    comparison = export.comparison
    lines = [f"{f'{comparison.rows} rows':<24}{'model':>10}{export.format:>12}"]
    source, made = comparison.source, comparison.export
    if comparison.metric is not None:
        lines.append(f"{comparison.metric:<24}{source.score:>10.4f}{made.score:>12.4f}")
    lines.append(f"{'same answers':<24}{'':>10}{comparison.agreement:>12.2%}")
    lines.append(f"{'largest difference':<24}{'':>10}{comparison.difference:>12.1e}")
    lines.append(f"{'weights, MB':<24}{export.source_bytes / 1e6:>10.1f}{export.export_bytes / 1e6:>12.1f}")
    lines.append(f"{'ms a text, one thread':<24}{source.milliseconds:>10.2f}{made.milliseconds:>12.2f}")
    return "\n".join(lines) + "\n"


def _parser() -> Parser:
    parser = Parser(
        "export",
        "Write a model for stock transformers or onnxruntime, checked against what it was made of.",
    )
    parser.add_model()
    parser.add_argument(
        "--format",
        required=True,
        choices=("hf", "onnx", "onnx-int8", "setfit"),
        help="for stock transformers; for onnxruntime; for it with weights of eight bits; or for the package setfit",
    )
    parser.add_argument("--output", required=True, help="the folder to write, not that of the model")
    parser.add_argument(
        "--input",
        help="a file of rows, labelled or not, to check the export on (default: a few sentences, and random subwords)",
    )
    parser.add_argument(
        "--push-to-hub", metavar="OWNER/NAME", help="upload the folder to this repository, private if it is new"
    )
    parser.add_columns(labelled=True)
    return parser
