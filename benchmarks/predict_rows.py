"""How fast a large file is answered and in how much memory, in one go and killed twice and gone on with.

    python benchmarks/predict_rows.py
    python benchmarks/predict_rows.py --rows 100000 --input parquet --output parquet

The rows are made up, one in a hundred is malformed where the format lets it be, and the encoder is tiny and untrained,
so that what is not the network shows. Memory is the peak of the process so far, as the system counts it.
"""

import argparse
import filecmp
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from _cells import machine

MARKS = (0.1, 0.5, 1.0)
KILLS = (0.3, 0.7)  # where the second run is killed
BAD = 100  # one row in so many
WORDS = [
    f"{start}{end}" for start in ("ba", "ke", "li", "mo", "nu", "so", "ta", "ve") for end in ("ck", "ll", "n", "rt")
]


def write(path: Path, rows: int) -> None:
    """Writes so many rows of 4 to 24 words."""
    draw = random.Random(0)
    texts = (" ".join(draw.choices(WORDS, k=draw.randint(4, 24))) for _ in range(rows))
    if path.suffix == ".parquet":
        schema = pa.schema({"id": pa.int64(), "text": pa.string()})
        with pq.ParquetWriter(path, schema) as out:
            for start in range(0, rows, 10_000):
                part = [text for text, _ in zip(texts, range(min(10_000, rows - start)), strict=False)]
                out.write_table(pa.table({"id": range(start, start + len(part)), "text": part}, schema))
        return
    with path.open("w", encoding="utf-8") as out:
        for number, text in enumerate(texts):
            out.write("{\n" if number % BAD == BAD - 1 else json.dumps({"id": number, "text": text}) + "\n")


def export(folder: Path) -> None:
    """Writes a tiny encoder under a fresh head of two classes, as `lightning-clf fit` exports one."""
    from lightning_clf import LabelSpace, SingleLabelClassifier
    from lightning_clf.demo.encoder import build_encoder, write_encoder

    tokenizer, encoder = build_encoder([WORDS], vocabulary=300, layers=1, hidden=32)
    write_encoder(tokenizer, encoder, folder / "encoder")
    module = SingleLabelClassifier(
        str(folder / "encoder"), labels=LabelSpace.of(["negative", "positive"], "single").to_dict()
    )
    module.build()
    module.max_length = 64
    module.artefact.save(folder / "model")


class Run:
    """The command, in a process of its own that is watched."""

    def __init__(self, folder: Path, source: Path, target: Path, *more: str) -> None:
        words = ["--model", str(folder / "model"), "--input", str(source), "--output", str(target), *more]
        self.state = target.with_name(f".{target.name}.partial") / "state.json"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lightning_clf", "predict", *words], stderr=subprocess.DEVNULL
        )
        self.peak = 0.0

    def taken(self) -> int:
        """How many rows its draft says are done."""
        try:
            return json.loads(self.state.read_bytes())["tally"]["taken"]
        except (OSError, ValueError):
            return 0

    def wait(self, rows: int, first: int = 0) -> float:
        """Wait until so many rows are done, or all, and return the rate since the first chunk after so many."""
        begun, at = 0, 0.0
        while self.process.poll() is None:
            self._look()
            taken = self.taken()
            if not begun and taken > first:
                begun, at = taken, time.perf_counter()
            if taken >= rows:
                break
            time.sleep(0.02)
        else:
            taken = rows
        return (taken - begun) / (time.perf_counter() - at)

    def _look(self) -> None:
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return
        self.peak = max([self.peak, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))])

    def end(self) -> None:
        """Wait for the process to be over, which must be well."""
        while self.process.poll() is None:
            self._look()
            time.sleep(0.02)
        assert self.process.returncode == 0, self.process.returncode

    def kill(self) -> int:
        """Kill it; the rows its draft says are done."""
        self.process.kill()
        self.process.wait()
        return self.taken()


def main(args: Sequence[str] | None = None) -> int:
    """Answer the file twice and print a table.

    Args:
        args: The command line; that of the process by default.

    Returns:
        0, or 1 where the run that was killed ended otherwise than the other.
    """
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file")
    parser.add_argument("--input", choices=("jsonl", "parquet"), default="jsonl", help="its format")
    parser.add_argument("--output", choices=("jsonl", "csv", "parquet"), default="jsonl", help="that of the answers")
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = folder / f"rows.{options.input}"
        write(source, options.rows)
        export(folder)
        whole, again = (folder / f"{name}.{options.output}" for name in ("whole", "again"))
        facts = machine()
        print(f"{facts['cores']} cores of {facts['cpu']}, {options.rows} rows, {options.input} to {options.output}\n")
        print("| rows done | rows/s since the line before | peak memory, MB |")
        print("|---:|---:|---:|", flush=True)
        run, begun = Run(folder, source, whole), time.perf_counter()
        first = 0
        for mark in MARKS:
            rate = run.wait(int(mark * options.rows), first)
            first = run.taken()
            if mark == MARKS[-1]:
                run.end()
            print(f"| {mark:.0%} | {rate:.0f} | {run.peak:.0f} |", flush=True)
        print(f"\nin one go {time.perf_counter() - begun:.0f} s, with start and end")
        begun = time.perf_counter()
        for kill in KILLS:
            run = Run(folder, source, again, "--resume")
            run.wait(int(kill * options.rows), run.taken())
            print(f"killed at {run.kill()} rows")
        run = Run(folder, source, again, "--resume")
        run.end()
        print(f"gone on with to the end, {time.perf_counter() - begun:.0f} s in all, peak memory {run.peak:.0f} MB")
        suffixes = ("", ".rejected.jsonl") if options.input == "jsonl" else ("",)
        same = all(filecmp.cmp(f"{whole}{suffix}", f"{again}{suffix}", shallow=False) for suffix in suffixes)
        print("the same bytes" if same else "OTHER BYTES")
        return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
