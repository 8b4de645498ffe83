"""What exports keep of a model, and what they save: stock transformers, ONNX, and ONNX with weights of eight bits.

    python benchmarks/exports.py --data DIR                 # every missing corpus, then print the table
    python benchmarks/exports.py --data DIR --only sst2     # only this one
    python benchmarks/exports.py --data DIR --runs RUNS     # with the models in RUNS/CORPUS/best in place of new ones
    python benchmarks/exports.py --print                    # print the table of the cells there are

The encoder is trained by the shipped configuration on SST-2, SICK, CoNLL-2003 and GoEmotions, and every format is held
against the model on the whole test split. Latency is the median time of a text by itself, with one thread.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import _corpora
import _ours
from _cells import Cell, Measured
from _study import add_runs, run_study
from lightning_clf.exporting import Format, export

STUDY = "exports"
CORPORA = ("sst2", "sick", "conll2003", "goemotions")
FORMATS: tuple[Format, ...] = ("hf", "onnx", "onnx-int8")


def measure(corpus: str, runs: Path | None) -> Measured:
    """Trains a model unless there is one, and exports it in every format."""
    with tempfile.TemporaryDirectory() as scratch:
        metrics = {"train_seconds": 0.0}
        model = Path(scratch, "run") if runs is None else runs / corpus
        if runs is None:
            source = {"data.init_args.source": str(_corpora.folder(corpus))}
            metrics |= _ours.fit_and_score(_ours.CONFIGS[corpus], 0, source, "best.ckpt", model)
        found = {"train_seconds": metrics["train_seconds"]}
        rows = str(_corpora.file(corpus, "test"))
        for format in FORMATS:
            made = export(str(model / "best"), format, str(Path(scratch, format)), rows)
            compared = made.comparison
            found |= {
                f"{format}/difference": compared.difference,
                f"{format}/agreement": compared.agreement,
                f"{format}/score_before": float(compared.source.score or 0),
                f"{format}/score_after": float(compared.export.score or 0),
                f"{format}/speedup": compared.source.milliseconds / compared.export.milliseconds,
                f"{format}/milliseconds": compared.export.milliseconds,
                f"{format}/megabytes": made.export_bytes / 1e6,
            }
    return Measured(found, {"test": compared.rows})


def table() -> str:
    """The cells there are as a Markdown table."""
    lines = ["| corpus | format | largest difference | same answers | score | loss | MB | ms a text | speed-up |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for corpus in CORPORA:
        if (record := cell(corpus).read()) is None:
            continue
        for format in FORMATS:
            begin = f"{format}/"
            found = record["metrics"].items()
            number = {name.removeprefix(begin): value for name, value in found if name.startswith(begin)}
            lines.append(
                f"| {corpus} | {format} | {number['difference']:.1e} | {number['agreement']:.2%} "
                f"| {number['score_after']:.4f} | {number['score_before'] - number['score_after']:.4f} "
                f"| {number['megabytes']:.1f} | {number['milliseconds']:.2f} | {number['speedup']:.2f} |"
            )
    return "\n".join(lines)


def cell(corpus: str) -> Cell:
    """The cell of a corpus."""
    return Cell(corpus, "formats", 0, STUDY)


def plan(runs: Path | None) -> Iterator[tuple[Cell, partial[Measured]]]:
    """Every cell, with what measures it."""
    for corpus in CORPORA:
        yield cell(corpus), partial(measure, corpus, runs)


def main(args: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables."""
    if code := run_study(__doc__, args, lambda options: plan(options.runs), add_runs):
        return code
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
