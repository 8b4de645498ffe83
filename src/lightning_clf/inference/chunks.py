"""Some rows to what is written of them: here, or on a worker elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning_clf.data.lines import RowError
from lightning_clf.errors import InputError
from lightning_clf.inference.columns import Carried
from lightning_clf.inference.predictor import Predictor
from lightning_clf.inference.source import Numbered, Source
from lightning_clf.inference.writers import Rejected, Writer


@dataclass
class Chunk:
    """What became of some rows that follow each other.

    Attributes:
        answers: What is to be appended to the answers before them.
        taken: How many rows there were.
        answered: How many of them were answered.
        empty: How many of those have no text.
        left_out: How often each task was left out of an answer.
        rejected: Those that were set aside.
        carried: Of the columns that were named to be carried along, those that any row has.
    """

    answers: bytes
    taken: int
    answered: int
    empty: int
    left_out: Counter[str]
    rejected: list[Rejected]
    carried: list[str]


@dataclass(frozen=True)
class Way:
    """The way of rows to bytes, but for the model.

    Attributes:
        carried: What stands beside an answer.
        writer: What makes the bytes.
        strict: Whether the first row that cannot be read ends it; otherwise such rows are set aside.
        batch_size: How many rows share a forward pass.
    """

    carried: Carried
    writer: Writer
    strict: bool
    batch_size: int

    def answer(self, classifier: Predictor, source: Source, rows: Sequence[Numbered]) -> Chunk:
        """Answer rows of a source.

        Raises:
            InputError: If one cannot be read and this is strict.
        """
        read, brought, rejected = self._read(classifier, source, rows)
        answers = classifier.predict_read(read, self.batch_size)
        return Chunk(
            answers=self.writer.encode(brought, answers),
            taken=len(rows),
            answered=len(read),
            empty=sum(row.is_empty for row in read),
            left_out=classifier.left_out(read),
            rejected=rejected,
            carried=self.carried.found(row for _, row in rows if isinstance(row, dict)),
        )

    def _read(
        self, classifier: Predictor, source: Source, rows: Sequence[Numbered]
    ) -> tuple[list[Any], list[dict[str, Any]], list[Rejected]]:
        """Of the rows that can be read what is answered and what is carried along, and those that cannot."""
        read, brought, rejected = [], [], []
        for number, row in rows:
            try:
                if isinstance(row, RowError):
                    raise row
                where = source.where(number)
                inputs = classifier.inputs.read(row, where)
                brought.append(self.carried.take(row, where))
                read.append(inputs)
            except InputError as error:
                if self.strict:
                    raise
                raw = row.raw if isinstance(row, RowError) else row
                rejected.append({"line": number, "reason": str(error), "row": raw})
        return read, brought, rejected
