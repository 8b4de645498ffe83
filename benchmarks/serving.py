"""What a server answers: 64 connections at once, beside the same texts one by one on one connection.

    python benchmarks/serving.py --data DIR

The model is the encoder under a fresh head, since speed does not depend on what was learned. A request is one text, of
a few words or of a whole review, in one order that both sides begin at the start of. Each side has a server of its own;
that for one connection does not wait for others (`--max-wait-ms 0`), which would only slow it down.
"""

import asyncio
import contextlib
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import _corpora
from _cells import machine
from prediction import export

CONNECTIONS = 64
SHARES = {"sst2": 800, "goemotions": 600, "sick": 400, "imdb_2k": 200}  # texts drawn of each corpus


@dataclass
class Load:
    """What a side's clients saw."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    duration: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.duration


def texts() -> list[str]:
    """Draws texts of mixed lengths from the test splits, in a random order that is the same in every run."""
    draw = random.Random(0)
    found: list[str] = []
    for corpus, count in SHARES.items():
        lines = _corpora.file(corpus, "test").read_bytes().splitlines()
        found += [json.loads(line)["text"] for line in draw.sample(lines, count)]
    draw.shuffle(found)
    return found


@contextlib.contextmanager
def server(folder: Path, *options: str) -> Iterator[int]:
    """A server on a free port, which it yields; it must end with 0."""
    words = [sys.executable, "-m", "lightning_clf", "serve", "--model", str(folder), "--port", "0", *options]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            if not said.startswith("serving "):
                raise RuntimeError(f"the server did not start: {said}{process.stderr.read()}")
            yield int(said.rpartition(":")[2])
        finally:
            process.terminate()
            code = process.wait(60)
    if code:
        raise RuntimeError(f"the server ended with {code}")


async def client(port: int, bodies: Iterator[bytes], end: float, load: Load) -> None:
    """Asks one text after another on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    while (start := time.perf_counter()) < end:
        body = next(bodies)
        writer.write(head.format(len(body)).encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(answer.partition("content-length: ")[2].partition("\r\n")[0]))
        load.seconds.append(time.perf_counter() - start)
        load.errors += " 200 " not in answer.partition("\r\n")[0]
    writer.close()


async def measure(port: int, given: list[str], connections: int, seconds: float) -> Load:
    """Keeps so many connections busy for so long, after two seconds that are not counted."""
    bodies = [json.dumps({"input": text}).encode() for text in given]
    load = Load()
    for duration in (2.0, seconds):
        load, order = Load(), itertools.cycle(bodies)
        start = time.perf_counter()
        await asyncio.gather(*(client(port, order, start + duration, load) for _ in range(connections)))
        load.duration = time.perf_counter() - start
    return load


def main(args: Sequence[str] | None = None) -> int:
    """Time both sides and print a table.

    Args:
        args: The command line; that of the process by default.

    Returns:
        0, 1 where a request failed, or 2 where the data or a package is missing.
    """
    parser = _corpora.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each side is asked")
    options = parser.parse_args(args)
    facts = machine()
    try:
        given = texts()
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "model")
            export(folder)
            with server(folder) as port:
                many = asyncio.run(measure(port, given, CONNECTIONS, options.seconds))
            with server(folder, "--max-wait-ms", "0") as port:
                one = asyncio.run(measure(port, given, 1, options.seconds))
    except (_corpora.MissingError, RuntimeError) as error:
        print(f"serving.py: {error}", file=sys.stderr)
        return 2
    print(f"{facts['cores']} cores of {facts['cpu']}, {options.seconds:g} s a side, clients on the same machine\n")
    print("| connections | texts/s | to one | p50 ms | p95 ms | p99 ms | errors |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for connections, load in ((CONNECTIONS, many), (1, one)):
        low, high, highest = (1000 * value for value in np.percentile(load.seconds, [50, 95, 99]))
        print(
            f"| {connections} | {load.rate:.0f} | {load.rate / one.rate:.2f} | {low:.1f} | {high:.1f} | {highest:.1f} "
            f"| {load.errors} |"
        )
    return int(many.errors + one.errors > 0)


if __name__ == "__main__":
    sys.exit(main())
