"""A cache of measurements: one JSON file per corpus, system and seed, fit to be committed.

A cell names the library versions and the kind of machine it was measured with, and nothing that identifies one.
"""

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch

FOLDER = Path(__file__).parent / "results"
LIBRARIES = (
    "lightning-clf",
    "lightning",
    "torchmetrics",
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "seqeval",
    "scikit-learn",
    "numpy",
)


class Stopwatch:
    """Counts from when it is made: what a clock shows, and for how long cores worked for this process.

    The second hardly grows while other processes have the cores, which the first does. It knows nothing of a GPU, nor
    of processes that this one starts.
    """

    def __init__(self) -> None:
        self._started, self._computed = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Returns ``train_seconds`` and ``cpu_seconds``."""
        return {
            "train_seconds": time.perf_counter() - self._started,
            "cpu_seconds": time.process_time() - self._computed,
        }


class Measured(NamedTuple):
    """What a cell came to.

    Attributes:
        metrics: Metrics named ``stage/metric``, ``train_seconds``, and ``cpu_seconds`` where those were measured.
        sizes: How many things each stage's scores count.
        recipe: What the system was trained with, where that was not its own choice.
    """

    metrics: dict[str, float]
    sizes: dict[str, int]
    recipe: dict[str, float] | None = None


@dataclass(frozen=True)
class Cell:
    """One measurement of a study: a system trained on a corpus with a seed."""

    corpus: str
    system: str
    seed: int
    study: str = "quality"

    def __str__(self) -> str:
        """Returns the name under which a cell is asked for."""
        return f"{self.corpus}/{self.system}/{self.seed}"

    @property
    def path(self) -> Path:
        """The file that holds the measurement, once there is one."""
        return FOLDER / self.study / f"{self.corpus}-{self.system}-{self.seed}.json"

    def read(self) -> dict[str, Any] | None:
        """Returns what was measured, or None where nothing was yet."""
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else None

    def write(
        self,
        metrics: dict[str, float],
        train_seconds: float,
        sizes: dict[str, int],
        recipe: dict[str, float] | None,
    ) -> None:
        """Stores a measurement: the whole file or none of it.

        Args:
            metrics: Metrics named ``stage/metric``.
            train_seconds: Wall-clock time of training alone.
            sizes: How many things each stage's scores count.
            recipe: What the system was trained with, where that was not its own choice.
        """
        record = {
            "corpus": self.corpus,
            "system": self.system,
            "seed": self.seed,
            "metrics": metrics,
            "sizes": sizes,
            "train_seconds": train_seconds,
            "recipe": recipe,
            "versions": versions(),
            "machine": machine(),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.path)


def run_missing(wanted: Iterable[tuple[Cell, Callable[[], Measured]]]) -> None:
    """Measures every cell that was not measured before, and stores it.

    Args:
        wanted: Each cell with what measures it; the next is asked for once the last is stored.
    """
    for cell, measure in wanted:
        if cell.path.exists():
            continue
        print(f"{cell}: running", file=sys.stderr, flush=True)
        metrics, sizes, recipe = measure()
        cell.write(metrics, metrics.pop("train_seconds"), sizes, recipe)
        print(f"{cell}: done", file=sys.stderr, flush=True)


def table(title: str, rows: Mapping[str, Sequence[Cell]], columns: Mapping[str, str], *, spread: bool = True) -> str:
    """Cells as a Markdown table: of each metric the mean and the spread, highest minus lowest, over their seeds.

    Args:
        title: What the rows are of.
        rows: The cells of each row, some of which may not be there yet; a row of none is left out.
        columns: The metric below each heading, or `train_seconds`.
        spread: Whether the spread is shown.
    """
    headings = [part for heading in columns for part in (heading, "spread")[: 1 + spread]]
    lines = [f"| {title} | seeds | {' | '.join(headings)} |", "|---|---:|" + "---:|" * len(headings)]
    for name, cells in rows.items():
        records = [record for cell in cells if (record := cell.read()) is not None]
        if not records:
            continue
        line = [name, str(len(records))]
        for metric in columns.values():
            values = [{**record["metrics"], **record}[metric] for record in records]
            line += [f"{fmean(values):.3f}", f"{max(values) - min(values):.3f}"][: 1 + spread]
        lines.append(f"| {' | '.join(line)} |")
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the installed libraries that can change a measurement."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str | int | None]:
    """Returns the kind of this machine, without its name; `accelerator` is its GPU, where it has one."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = (line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line)
        cpu = next(names, cpu)
    found = {"system": platform.system(), "architecture": platform.machine(), "cpu": cpu, "cores": os.cpu_count()}
    return {**found, "accelerator": torch.cuda.get_device_name()} if torch.cuda.is_available() else found


def place() -> str:
    """Returns what computes on this machine, in words."""
    facts = machine()
    return str(facts.get("accelerator") or f"{facts['cores']} cores of {facts['cpu']}")
