"""A report of a model: rows answered, counted, written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lightning_clf.reporting.building import build
from lightning_clf.reporting.resampling import DRAWS
from lightning_clf.reporting.writing import check_output, plain, report_page, write


def report(
    model: str,
    source: str,
    output: str,
    *,
    columns: Mapping[str, str] | None = None,
    slices: Sequence[str] = (),
    train: str | None = None,
    batch_size: int = 64,
    device: str | None = None,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Answer labelled rows, and write a page about the answers with the same content as JSON beside it.

    Args:
        model: A checkpoint or an export folder.
        source: A file of labelled rows that the model was not trained on.
        output: The page to write, `NAME.html`; the JSON file is `NAME.json`.
        columns: Names of columns, by role (`text`, `text_pair`, `tokens`, `label`, `group`), and the `separator` of
            labels.
        slices: Columns of the file, by whose values the rows are scored too.
        train: What the model was trained on, to tell words it has never seen.
        batch_size: How many rows share a forward pass.
        device: Where to run; `None` is the CPU.
        draws: How often rows are drawn for an interval.

    Returns:
        What the JSON file holds.

    Raises:
        InputError: If the model, a file or a row is not as it should be, or the page cannot be written.
    """
    path, beside = check_output(output, [source, *([train] if train else [])])
    found: dict[str, Any] = plain(build(model, source, columns or {}, slices, train, batch_size, device, draws))
    write(report_page(found), found, path, beside)
    return found
