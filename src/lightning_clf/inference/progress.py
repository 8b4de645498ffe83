"""How far a file is."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from tqdm import tqdm

from lightning_clf.inference.source import Source


@contextlib.contextmanager
def progress_bar(source: Source, start: int, stop: int | None) -> Iterator[Callable[[int], None]]:
    """A bar with rate and time left, on a terminal.

    It goes by rows where their number is known, as of a shard or of Parquet, else by the bytes that are read.

    Args:
        source: What is read.
        start: How many rows have been passed over.
        stop: The row after the last.

    Yields:
        What is told how many more rows are answered.
    """
    total = stop - start if stop is not None else source.total
    by_bytes = stop is None and source.position is not None
    passed = 0 if stop is not None else source.position() if source.position is not None else start
    done = 0
    with tqdm(
        desc="predict",
        total=total,
        initial=passed,
        unit="B" if by_bytes else " rows",
        unit_scale=by_bytes,
        disable=not sys.stderr.isatty(),
    ) as bar:

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            if by_bytes and source.position is not None:
                bar.set_postfix_str(f"{done / max(bar.format_dict['elapsed'], 1e-9):.0f} rows/s", refresh=False)
                bar.update(source.position() - bar.n)
            else:
                bar.update(rows)

        yield advance
