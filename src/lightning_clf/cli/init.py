"""`lightning-clf init`: a configuration for a user's own data."""

from __future__ import annotations

from pathlib import Path

from lightning_clf.cli.configs import shipped_configs
from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.options import Parser
from lightning_clf.cli.quiet import quiet_logs
from lightning_clf.errors import InputError, printable
from lightning_clf.files import write_atomically


def run(words: list[str]) -> None:
    """Write a configuration for a file or a folder, and say what it was taken for.

    Raises:
        InputError: If an option or the data are not as they should be, or there is a file of that name.
    """
    options = _parser().parse_args(words)
    output = Path(options.output)
    if output.exists():
        raise InputError(f"{output} exists and is not written over: give another name with --output, or remove it")

    with importing():
        from lightning_clf.examine import configuration, guess_source

    with quiet_logs():
        found, datamodule, source = guess_source(Path(options.data))
    shipped = (shipped_configs() / found.config).read_text(encoding="utf-8")
    with write_atomically(output) as file:
        file.write(configuration(options.output, found, datamodule, source, shipped))
    print(printable(f"{output}: {found.task}, since {found.reason}"))
    for doubt in found.doubts:
        print(printable(f"doubtful: {doubt}"))
    print(f"next: lightning-clf doctor --config {output}, then lightning-clf fit --config {output}")


def _parser() -> Parser:
    parser = Parser(
        "init",
        "Guess the task of your own data, and write a configuration that lightning-clf fit takes as it is. "
        "The guess is tried on all rows first, with the class that reads them for training.",
    )
    parser.add_argument(
        "data",
        metavar="FILE_OR_FOLDER",
        help="a .jsonl, .csv, .tsv, .parquet or .conll file, or a folder of them called train, dev and test",
    )
    parser.add_argument(
        "--output", default="config.yaml", help="the file to write, which may not exist yet (default: config.yaml)"
    )
    return parser
