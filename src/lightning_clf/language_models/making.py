"""What is asked of a language model, and what becomes of its answers: new rows of labels, or labels of rows."""

from __future__ import annotations

import json
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lightning_clf.data.lines import Row
from lightning_clf.language_models.corpus import Corpus, Labelled
from lightning_clf.language_models.prompt import Answer, Message, Prompt
from lightning_clf.language_models.sifting import Sieve
from lightning_clf.language_models.template import Template

PROVENANCE = "augmented"
"""The column of what a row comes from, which training does not read."""
_AROUND = 16  # bytes of a reply around what it holds
_ROUNDS = 3  # of requests for a label, as some of what is replied is dropped


@dataclass(frozen=True)
class Wording:
    """How a model is asked.

    Attributes:
        template: The prompt.
        model: The model's name.
        examples: How many rows of train a prompt shows.
        max_tokens: How long a reply may be.
        temperature: How freely words are drawn.
        seed: Which rows are shown.
    """

    template: Template
    model: str
    examples: int
    max_tokens: int
    temperature: float | None
    seed: int

    def prompt(self, schema: Mapping[str, Any], sample: int, **values: str) -> Prompt:
        """A request of one message."""
        message = Message("user", self.template.fill(**values))
        return Prompt((message,), schema, self.max_tokens, self.temperature, sample)

    def provenance(self, kind: str, answer: Answer) -> dict[str, Any]:
        """What a row comes from."""
        return {
            PROVENANCE: {
                "kind": kind,
                "model": self.model,
                "prompt": self.template.digest,
                "request": answer.digest,
                "date": answer.date,
            }
        }


class Call(NamedTuple):
    """A request, and what it is for.

    Attributes:
        prompt: The request.
        size: About how many bytes a reply has.
        label: The label that new rows are to have; empty where a label is asked for.
        row: The row that a label is asked for.
        where: Where that is.
    """

    prompt: Prompt
    size: int
    label: str = ""
    row: Row | None = None
    where: str = ""


class Maker(ABC):
    """Asks in rounds, and makes rows of the answers.

    The requests of a round follow from the answers to those before it, and from nothing else, so that a run that goes
    on comes to the same requests.
    """

    @abstractmethod
    def round(self) -> list[Call]:
        """The next requests; none where all is done."""

    @abstractmethod
    def take(self, call: Call, answer: Answer) -> None:
        """Make rows of an answer, or list why there are none. Answers come in the order of the requests."""


class NewRows(Maker):
    """New rows of labels.

    Args:
        corpus: The rows that are there.
        wanted: How many more each label is to have.
        wording: How they are asked for.
        at_once: How many texts a reply is to hold.
        sieve: Takes the texts.
    """

    def __init__(self, corpus: Corpus, wanted: Mapping[str, int], wording: Wording, at_once: int, sieve: Sieve) -> None:
        self._corpus, self._wording, self._at_once, self._sieve = corpus, wording, at_once, sieve
        self.missing = dict(wanted)
        self._asked = dict.fromkeys(wanted, 0)
        self._rounds = 0
        self._of = {label: [row for row in corpus.rows if label in row.labels] for label in wanted}

    def round(self) -> list[Call]:
        """As many requests as hold what is missing, a few times."""
        if self._rounds == _ROUNDS:
            return []
        self._rounds += 1
        return [
            self._call(label)
            for label, missing in self.missing.items()
            for _ in range(math.ceil(missing / self._at_once))
        ]

    def _call(self, label: str) -> Call:
        number = self._asked[label]
        self._asked[label] += 1
        rows, draw = self._of[label], random.Random(f"{self._wording.seed}:{number}:{label}")
        shown = draw.sample(rows, min(self._wording.examples, len(rows)))
        schema = _object("texts", {"type": "array", "items": {"type": "string"}})
        prompt = self._wording.prompt(
            schema,
            number,
            label=label,
            labels=_listed(self._corpus.labels.names),
            examples="\n".join(_json(row.text) for row in shown),
            count=str(self._at_once),
        )
        size = sum(len(_json(row.text).encode()) for row in rows) // len(rows)
        return Call(prompt, self._at_once * size + _AROUND, label)

    def take(self, call: Call, answer: Answer) -> None:
        """Every text of an answer that is new, up to what is wanted; what is over is listed too."""
        about = {"label": call.label, "request": answer.digest}
        if answer.value is None:
            self._sieve.drop("no usable reply", {**about, "fault": answer.fault})
            return
        for text in answer.value["texts"]:
            dropped = {"text": text, **about}
            if not self.missing[call.label]:
                self._sieve.drop("more than wanted", dropped)
            elif self._sieve.admit(text, f"added row {len(self._sieve.rows) + 1}", dropped):
                self.missing[call.label] -= 1
                row = self._corpus.columns(text, [call.label])
                self._sieve.rows.append(row | self._wording.provenance("row", answer))


class Labels(Maker):
    """Labels of rows that have none.

    Args:
        corpus: Labelled rows.
        texts: The texts to label, where they are, and their rows.
        wording: How labels are asked for.
        sieve: Takes the texts, before anything is asked of them.
    """

    def __init__(self, corpus: Corpus, texts: Iterable[tuple[str, str, Row]], wording: Wording, sieve: Sieve) -> None:
        self._corpus, self._wording, self._sieve = corpus, wording, sieve
        enum = {"type": "string", "enum": list(corpus.labels.names)}
        self._schema = (
            _object("labels", {"type": "array", "items": enum}) if corpus.is_multi else _object("label", enum)
        )
        self._fixed = {
            "labels": _listed(corpus.labels.names),
            "examples": "\n".join(
                _json({"text": row.text} | self._value(row)) for row in _of_each_label(corpus, wording)
            ),
        }
        size = max(len(_json(label).encode()) for label in corpus.labels.names) + _AROUND
        self._calls = [
            Call(wording.prompt(self._schema, 0, text=_json(text), **self._fixed), size, row=row, where=where)
            for text, where, row in texts
            if sieve.admit(text, where, {"where": where, "text": text})
        ]

    def round(self) -> list[Call]:
        """A request a row, once."""
        calls, self._calls = self._calls, []
        return calls

    def take(self, call: Call, answer: Answer) -> None:
        """The row with its label."""
        row = call.row or {}
        text = row[self._corpus.text_column]
        if answer.value is None:
            about = {"where": call.where, "text": text, "request": answer.digest, "fault": answer.fault}
            self._sieve.drop("no usable reply", about)
            return
        labels = answer.value["labels"] if self._corpus.is_multi else [answer.value["label"]]
        added = self._corpus.columns(text, list(dict.fromkeys(labels)))
        self._sieve.rows.append(row | added | self._wording.provenance("label", answer))

    def _value(self, row: Labelled) -> dict[str, Any]:
        return {"labels": list(row.labels)} if self._corpus.is_multi else {"label": row.labels[0]}


def _of_each_label(corpus: Corpus, wording: Wording) -> list[Labelled]:
    """Rows that show as many labels as they can: one of each in turn."""
    draw = random.Random(wording.seed)
    rows = draw.sample(corpus.rows, len(corpus.rows))
    chosen: list[Labelled] = []
    seen = dict.fromkeys(corpus.labels.names, 0)
    while rows and len(chosen) < wording.examples:
        row = min(rows, key=lambda row: min((seen[label] for label in row.labels), default=len(chosen)))
        rows.remove(row)
        chosen.append(row)
        for label in row.labels:
            seen[label] += 1
    return chosen


def _object(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_json, names))
