"""A report in primitives → a page and a JSON file, both whole or neither there."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from lightning_clf.errors import InputError
from lightning_clf.files import write_atomically
from lightning_clf.reporting import rows_sections as of_rows
from lightning_clf.reporting import sections
from lightning_clf.reporting.cascade_section import cascade_section
from lightning_clf.reporting.markup import element, join, number
from lightning_clf.reporting.page import Section, page, tile


def check_output(output: str, inputs: list[str]) -> tuple[Path, Path]:
    """The page to write, and the JSON file beside it.

    Raises:
        InputError: If the name is not that of a page, or one of the two would take the place of what is read.
    """
    path = Path(output)
    if path.suffix != ".html":
        raise InputError(f"output {output} is not called a page: give a name that ends in .html")
    beside = path.with_suffix(".json")
    for target in (path, beside):
        if target.is_dir():
            raise InputError(f"output {target} is a folder: give another --output")
        for source in inputs:
            if target.exists() and Path(source).exists() and target.samefile(source):
                raise InputError(f"output {target} would replace {source}, which is read: give another --output")
    return path, beside


def write(content: str, found: dict[str, Any], path: Path, beside: Path) -> None:
    """Write a page and its JSON file.

    Raises:
        InputError: If one of them cannot be written.
    """
    listing = json.dumps(found, ensure_ascii=False, indent=1, allow_nan=False)
    with write_atomically(path) as html_file, write_atomically(beside) as json_file:
        json_file.write(listing + "\n")
        html_file.write(content)
        html_file.flush()  # what the disk has no room for is known before the JSON file has its name


def plain(value: Any) -> Any:
    """The same, as JSON can hold it: what is not defined is null."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report_page(found: dict[str, Any]) -> str:
    """The page of a report."""
    parts: list[Section] = [sections.metrics_section(found)]
    if found["labels"]["kind"] == "score":
        parts += [sections.agreement_section(found), of_rows.residuals_section(found)]
    else:
        parts += [sections.classes_section(found), sections.confusion_section(found)]
        if "entity_errors" in found:
            parts.append(of_rows.entity_errors_section(found))
        if found["curves"] is not None:
            parts.append(sections.curves_section(found))
    if "cascade" in found["model"]["decision"]:
        parts.append(cascade_section(found["model"]["decision"]["cascade"]))
    parts.append(sections.lengths_section(found))
    if found["slices"]:
        parts.append(sections.slices_section(found))
    if "errors" in found:
        parts.append(of_rows.errors_section(found))
    if found.get("label_errors") is not None:
        parts.append(of_rows.label_errors_section(found))
    if "unseen" in found:
        parts.append(of_rows.unseen_section(found))
    parts += [of_rows.speed_section(found), of_rows.origin_section(found)]
    tiles = [
        tile(name, number(each["value"], 3), join(number(each["low"], 3), " – ", number(each["high"], 3)))
        for name, each in ((name, found["metrics"][name]) for name in found["main"])
    ]
    tiles.append(tile("rows", number(found["data"]["rows"]), found["data"]["file"].rpartition("/")[2]))
    tiles.append(
        tile(
            "rows a second", number(found["speed"]["rows_per_second"], 0), f"batches of {found['speed']['batch_size']}"
        )
    )
    head = join(
        element("p", f"{found['model']['name']} on {found['data']['file']}", class_="sub"),
        element("div", tiles, class_="tiles"),
    )
    return page("Report", head, parts)
