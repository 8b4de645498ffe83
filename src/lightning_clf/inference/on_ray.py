"""Chunks of rows answered by workers on Ray Data, in order. Needs the extra `ray`.

What travels is small: to a worker the places of a chunk's first and last row, and back the bytes that are appended to
the answers. A worker reads the rows itself, by the readers that name a bad row, as Ray's own readers do not.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lightning_clf.cpu import keep_freed_memory
from lightning_clf.errors import InputError, need
from lightning_clf.inference.chunks import Chunk, Way
from lightning_clf.inference.predictor import Predictor
from lightning_clf.inference.source import Numbered, Source, open_source
from lightning_clf.inference.together import load_predictor


@dataclass(frozen=True)
class RayEngine:
    """Workers that answer in place of this process, each with a model of its own.

    They run on the cluster that this process is connected to, that `RAY_ADDRESS` names or that was begun on this
    machine; where there is none, on one that is begun here and ends with the answers.

    Attributes:
        model: The checkpoint or folder, which every worker loads by this name.
        workers: How many; `None` is one a GPU of the cluster where the device is `cuda`, else one a core.
        device: Where each runs: `cuda` gives each a GPU of its own; `None` is the CPU, a core each.
        dtype: The type of the weights; `None` leaves them as they are.

    Raises:
        InputError: If Ray is not installed, or the device is one GPU for all.
    """

    model: str
    workers: int | None = None
    device: str | None = None
    dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        _ray()
        if self.resource == "GPU" and self.device != "cuda":
            raise InputError(f"device {self.device!r} is one GPU, and Ray gives each worker its own: give cuda")

    @property
    def resource(self) -> str:
        """What each worker has one of."""
        return "GPU" if (self.device or "cpu").startswith("cuda") else "CPU"

    def load(self, columns: dict[str, str], folder: str) -> Predictor:
        """The model as a worker has it, by a name that may be relative to a folder."""
        if self.resource == "CPU":
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
            keep_freed_memory()
        torch.set_num_threads(1)  # workers share a machine's cores, and each has one
        return load_predictor(Path(folder, self.model), columns).to(self.device, self.dtype)

    def answer(
        self, classifier: Predictor, way: Way, source: str, spans: Sequence[tuple[int, int]]
    ) -> Generator[Chunk, None, None]:
        """Answer spans of rows of a file, in their order.

        Args:
            classifier: The model as it is here; its weights are not used.
            way: The way of rows to bytes.
            source: The file, which every worker reads by this name.
            spans: The first row of each chunk, and the one after its last.

        Raises:
            InputError: If there is nothing to run on, or a worker cannot read the model, the file or, where this is
                strict, a row.
        """
        if not spans:
            return
        with _connected() as ray:
            constructed = (self, classifier.inputs.columns, way, source, os.getcwd(), classifier.heads)
            found = ray.data.from_items(
                [{"start": start, "stop": stop} for start, stop in spans], override_num_blocks=len(spans)
            ).map(
                _Worker,
                fn_constructor_args=constructed,
                compute=ray.data.ActorPoolStrategy(
                    size=min(self._count(ray), len(spans)),
                    max_tasks_in_flight_per_actor=2,  # one that is answered and one that waits
                    max_concurrent_calls_per_actor=1,
                ),
                num_cpus=1,
                num_gpus=1 if self.resource == "GPU" else None,
            )
            found.context.execution_options.preserve_order = True
            found.context.enable_progress_bars = False
            for row in found.iter_rows():
                if row["error"] is not None:
                    raise InputError(row["error"])
                yield row["chunk"]

    def _count(self, ray: Any) -> int:
        there, wanted = int(ray.cluster_resources().get(self.resource, 0)), self.workers or 1
        if wanted > there:
            # Ray would wait for them, it may be for ever
            raise InputError(
                f"the Ray cluster has {there} {self.resource}s, too few for {wanted} workers with one each: give fewer "
                "--workers, or another --device"
            )
        return self.workers or there


class _Worker:
    """Answers spans of rows of one file, mostly in ascending order, so that the file is read once.

    Args:
        engine: Says which model, and where it runs.
        columns: Those that are read from a row, as `load_predictor` takes them.
        way: The way of rows to bytes.
        source: The file.
        folder: What its name, and the model's, are relative to.
        heads: The classes of the model's heads, which by coming here are imported, as a user's own must have been.
    """

    def __init__(
        self, engine: RayEngine, columns: dict[str, str], way: Way, source: str, folder: str, heads: Sequence[type]
    ) -> None:
        self._way, self._name, self._folder = way, source, folder
        self._opened = contextlib.ExitStack()
        self._source: Source | None = None
        self._place = 0
        self._classifier: Predictor | InputError
        try:
            self._classifier = engine.load(columns, folder)
        except InputError as error:  # raised here it would be as an actor that died
            self._classifier = error

    def __call__(self, span: dict[str, Any]) -> dict[str, Any]:
        """Answer a span, or say what is wrong."""
        try:
            if isinstance(self._classifier, InputError):
                raise self._classifier
            source, rows = self._rows(span["start"], span["stop"])
            return {"chunk": self._way.answer(self._classifier, source, rows), "error": None}
        except InputError as error:
            return {"chunk": None, "error": str(error)}

    def _rows(self, start: int, stop: int) -> tuple[Source, list[Numbered]]:
        if self._source is None or start < self._place:  # a chunk of a worker that died comes late
            self._opened.close()
            self._source = self._opened.enter_context(open_source(self._name, self._folder))
            self._place = 0
        next(itertools.islice(self._source.rows, start - self._place, start - self._place), None)
        rows = list(itertools.islice(self._source.rows, stop - start))
        self._place = stop
        if len(rows) < stop - start:
            raise InputError(f"file {self._name} has fewer rows on a worker than here: put it where all read the same")
        return self._source, rows


@contextlib.contextmanager
def _connected() -> Iterator[Any]:
    """Ray, with a cluster, which ends here if it began here."""
    ray = _ray()
    if ray.is_initialized():
        yield ray
        return
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it tells how it goes, which a bar of ours does
    try:
        _connect(ray)
        yield ray
    finally:
        ray.shutdown()
        logger.setLevel(level)


def _connect(ray: Any) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone who was not asked for
    try:
        with _same_end():
            # what workers print would stand between answers on standard output
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        address = os.environ.get("RAY_ADDRESS")
        raise InputError(f"the Ray cluster at {address} cannot be reached: correct RAY_ADDRESS, or unset it") from error


@contextlib.contextmanager
def _same_end() -> Iterator[None]:
    """Let SIGTERM end the process as it did before, whatever is set in here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _ray() -> Any:
    """The package.

    Raises:
        InputError: If it is not installed.
    """
    return need("ray.data", "--engine ray needs", "ray")
