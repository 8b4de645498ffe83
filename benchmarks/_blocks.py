"""Sides that are timed in turns: each in a process of its own, one at work while the others wait.

A machine may drift by a fifth within minutes. Blocks of work that alternate see the same drift, so that the ratio of
their medians means something where two times one after the other would not.
"""

import multiprocessing
import random
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, NamedTuple, TypeVar

import torch

T = TypeVar("T")
_DRAWS = 2000


class Block(NamedTuple):
    """What a side did when it was its turn.

    Attributes:
        seconds: How long it took.
        done: How much it did, in the unit of the comparison.
        peak_mb: The most memory its process ever had, in MB; of a GPU's, where it computes on one.
    """

    seconds: float
    done: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """How much a second."""
        return self.done / self.seconds


class Gate:
    """Where a side waits for its turn: it passes after each step, and is let through block by block.

    Args:
        connection: To the process that gives turns.
        steps: Steps a block.
        warmup: Steps before the first block, which are not timed.
    """

    def __init__(self, connection: Connection, steps: int, warmup: int) -> None:
        self._connection = connection
        self._steps = steps
        self._left = warmup
        self._done = 0.0
        self._started = time.perf_counter()

    def step(self, done: float) -> None:
        """Report a step, and wait if it was the block's last."""
        self._done += done
        self._left -= 1
        if self._left == 0:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            self._connection.send(Block(time.perf_counter() - self._started, self._done, _peak_mb()))
            self._connection.recv()
            self._left, self._done, self._started = self._steps, 0.0, time.perf_counter()


class Side(NamedTuple):
    """One of those compared.

    Attributes:
        run: Works until it is stopped, and calls the gate's `step` after every step. It is run in a new process, so
            that it must be a function of a module.
        arguments: What it takes before the gate.
        steps: Steps a block.
        warmup: Steps before the first block.
    """

    run: Callable[..., Any]
    arguments: tuple[Any, ...]
    steps: int
    warmup: int


def _work(connection: Connection, side: Side) -> None:
    try:
        side.run(*side.arguments, Gate(connection, side.steps, side.warmup))
        connection.send(RuntimeError("the side ended before it was stopped: give it more work"))
    except BaseException as error:
        connection.send(RuntimeError(f"{type(error).__name__}: {error}"))
        raise


def alternate(sides: Mapping[str, Side], blocks: int) -> dict[str, list[Block]]:
    """Time every side in turns.

    Args:
        sides: The sides by name.
        blocks: How many turns each has.

    Raises:
        RuntimeError: If a side failed.
    """
    context = multiprocessing.get_context("spawn")
    ends: dict[str, Connection] = {}
    processes = []
    try:
        for name, side in sides.items():
            ends[name], theirs = context.Pipe()
            # no daemon, which could have no processes of its own
            processes.append(context.Process(target=_work, args=(theirs, side)))
            processes[-1].start()
            theirs.close()  # so that its end is the end of what comes from it
        for name, end in ends.items():
            _receive(name, end)  # warmed up
        results: dict[str, list[Block]] = {name: [] for name in sides}
        for turn in range(blocks):
            # back and forth, so that none is always first
            for name in list(sides)[:: 1 if turn % 2 == 0 else -1]:
                ends[name].send(None)
                results[name].append(_receive(name, ends[name]))
        return results
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()


def _receive(name: str, end: Connection) -> Block:
    try:
        got = end.recv()
    except EOFError as error:
        raise RuntimeError(f"{name}: the process was killed, for memory perhaps") from error
    if isinstance(got, Block):
        return got
    raise RuntimeError(f"{name}: {got}")


def ratio(one: Sequence[Block], other: Sequence[Block]) -> tuple[float, float, float]:
    """The ratio of the median rates, and its 95 % interval by bootstrap over turns."""

    def of_medians(turns: Sequence[tuple[Block, Block]]) -> float:
        first, second = zip(*turns, strict=True)
        return median(block.rate for block in first) / median(block.rate for block in second)

    return interval(list(zip(one, other, strict=True)), of_medians)


def interval(turns: Sequence[T], value: Callable[[Sequence[T]], float]) -> tuple[float, float, float]:
    """A number that follows from turns, and its 95 % interval by bootstrap over them."""
    generator = random.Random(0)
    drawn = sorted(value(generator.choices(turns, k=len(turns))) for _ in range(_DRAWS))
    return value(turns), drawn[int(0.025 * _DRAWS)], drawn[int(0.975 * _DRAWS)]


def _peak_mb() -> float:
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    import resource  # not on Windows, where only this fails

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
