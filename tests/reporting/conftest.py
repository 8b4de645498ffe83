"""Tiny models with random weights, and rows they answer variously."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_clf import LabelSpace
from tests.tiny import CORPUS
from tests.training import make_module

HOSTILE = "<script>alert('&\"')</script>"
WORDS = " ".join(CORPUS).split()
SPACES = {
    "single": LabelSpace.of(["bad", "good", HOSTILE], "single"),
    "multi": LabelSpace.of(["fear", HOSTILE, "joy"], "multi"),
    "tags": LabelSpace.tags(["LOC", HOSTILE], "IOB2"),
    "words": LabelSpace.tags(["DT", "NN", HOSTILE], "none"),
    "score": LabelSpace.score(0, 5),
}


def rows_of(kind: str, count: int = 40) -> list[dict[str, Any]]:
    """Rows whose answers are drawn, some with a text that would be markup; `source` is a column to slice by."""
    chance, names, rows = random.Random(kind), SPACES[kind].names, []
    for number in range(count):
        words = [chance.choice(WORDS) for _ in range(2 + number % 9)] + ([HOSTILE] if number % 5 == 0 else [])
        row: dict[str, Any] = {"text": " ".join(words), "source": ("web", HOSTILE, None)[number % 3]}
        if kind in ("tags", "words"):
            del row["text"]
            row["tokens"] = words
            row["tags"] = [chance.choice(names) for _ in words]
            if kind == "tags":
                row["tags"] = [("O", "B-LOC", f"B-{HOSTILE}", "O")[(number + place) % 4] for place in range(len(words))]
        elif kind == "multi":
            row["labels"] = chance.sample(names, chance.randrange(3))
        elif kind == "score":
            row |= {"text_pair": chance.choice(CORPUS), "score": chance.randrange(11) / 2}
        else:
            row["label"] = chance.choice(names)
        rows.append(row)
    return rows


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as a file of JSON lines; its name."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def model(encoders: Callable[[str], Path], tmp_path: Path) -> Callable[..., str]:
    """Writes an untrained model of a kind to a folder; its name."""

    def make(kind: str, name: str = "best", seed: int = 3, *, group: str | None = None, **options: Any) -> str:
        torch.manual_seed(seed)
        module = make_module(SPACES[kind].kind, encoders("bert"), **{"labels": SPACES[kind].to_dict(), **options})
        module.max_length = 12
        module.columns = {"tokens": "tokens"} if SPACES[kind].kind == "tags" else {"text": "text"}
        if kind == "score":
            module.columns["text_pair"] = "text_pair"
        if group is not None:
            module.columns["group"] = group
        module.build()
        for weight in module.network.parameters():
            weight.data.mul_(10)
        module.artefact.save(tmp_path / name)
        return str(tmp_path / name)

    return make


class Page(HTMLParser):
    """A page as a reader of HTML sees it: tags that are closed in order, sections, numbers and what it asks for."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.section = "head"
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.numbers: dict[str, list[float]] = {}
        self.asked: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in given:
            self.ids.append(str(given["id"]))
        if tag == "section":
            self.section = str(given["id"])
        if tag == "data":
            self.numbers.setdefault(self.section, []).append(float(str(given["value"])))
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            if name in given:
                self.asked.append((tag, str(given[name])))
        assert not [name for name in given if name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
