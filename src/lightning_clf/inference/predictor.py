"""What answers rows, whether of one task or of several: all that files, servers and workers know of it."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

import torch
from torch import nn

from lightning_clf.errors import InputError, a_type
from lightning_clf.inference.answers import Answer
from lightning_clf.inference.columns import Carried
from lightning_clf.inference.room import batches


class Reader(Protocol):
    """Reads rows and encodes them.

    Attributes:
        columns: The columns that were named in place of those of training, by role.
    """

    columns: dict[str, str]

    def read(self, row: str | Mapping[str, Any], where: str) -> Any:
        """Take the inputs from a row.

        Raises:
            InputError: If a column is missing, or does not hold what it should.
        """

    def encode(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Encode rows that were read."""

    def check_columns(self, columns: Iterable[str], where: str) -> None:
        """Hold the columns that all rows of a file have against those that are read; plain text has none.

        Raises:
            InputError: If one is missing.
        """


class Predictor(ABC):
    """Answers rows, on one device.

    Attributes:
        inputs: What reads and encodes rows.
        asks: The language model that is asked too; empty where none is.
    """

    inputs: Reader
    asks: str = ""

    @property
    @abstractmethod
    def modules(self) -> Sequence[nn.Module]:
        """What computes."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where."""

    @property
    @abstractmethod
    def window(self) -> int:
        """The most subwords that are read at a time."""

    @abstractmethod
    def longest(self, encoded: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of the texts that a row was encoded to, the one whose length the row is batched by."""

    @abstractmethod
    def answer_batch(self, encoded: Sequence[Mapping[str, Any]], read: Sequence[Any]) -> list[Answer]:
        """Answer rows at once, in their order, by networks that are in evaluation mode.

        Args:
            encoded: What `inputs.encode` made of each.
            read: What `inputs.read` made of each.
        """

    @abstractmethod
    def carried(self, names: Sequence[str] | None) -> Carried:
        """What of a row stands beside its answer, of the columns named; `None` takes all."""

    @abstractmethod
    def left_out(self, read: Sequence[Any]) -> Counter[str]:
        """How often each task is left out of the answers to rows that were read, since they lack its columns."""

    @abstractmethod
    def digest(self) -> str:
        """What tells whether it is the one it was."""

    @property
    @abstractmethod
    def heads(self) -> Sequence[type]:
        """The classes that must be imported where it is loaded."""

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move to a device, or change the type of the weights.

        Args:
            device: Where to run; `None` stays.
            dtype: `torch.bfloat16` takes half the memory, and is faster where the machine multiplies it; probabilities
                are computed in float32 from scores that are less exact. `None` leaves the weights as they are.

        Raises:
            InputError: If there is no such device.
        """
        try:
            for module in self.modules:
                module.to(device=device, dtype=dtype)
        except (RuntimeError, AssertionError) as error:  # the latter where PyTorch was built without CUDA
            reason = str(error).strip().partition("\n")[0]
            raise InputError(
                f"device {str(device)!r} cannot be used ({reason}): choose another, such as cpu"
            ) from error
        return self

    def predict(self, rows: Sequence[str | Mapping[str, Any]], batch_size: int = 64) -> list[Answer]:
        """Answer rows, in their order.

        Rows are batched by length, so that little is spent on padding.

        Args:
            rows: Strings, or mappings with the columns that are read.
            batch_size: How many rows share a forward pass; of texts in windows, how many windows.

        Returns:
            One answer a row, in plain Python values: `label` with `probability` and `probabilities`; `labels` with
            `probabilities`; `tokens`, `tags`, `probabilities` and `entities`; or `score`. Of several tasks, a mapping
            from each to its answer.

        Raises:
            InputError: If a row lacks a column or holds something else in it, or what is given are no rows.
        """
        if isinstance(rows, str | Mapping):  # whose letters or keys would be taken for rows
            raise InputError(f"predict was given {a_type(rows)} for its rows: give a list, if need be of one")
        read = [self.inputs.read(row, f"row {number}") for number, row in enumerate(rows, start=1)]
        return self.predict_read(read, batch_size)

    def predict_read(self, read: Sequence[Any], batch_size: int) -> list[Answer]:
        """Answer rows that `inputs.read` has read."""
        if not read:
            return []
        with self._evaluating():
            encoded = self.inputs.encode(read)
            answers: list[Answer] = [{} for _ in encoded]
            for chosen in batches([self.longest(row) for row in encoded], batch_size):
                found = self.answer_batch([encoded[index] for index in chosen], [read[index] for index in chosen])
                for index, result in zip(chosen, found, strict=True):
                    answers[index] = result
            return answers

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = [module.training for module in self.modules]
        try:
            for module in self.modules:
                module.eval()
            yield
        finally:
            for module, mode in zip(self.modules, training, strict=True):
                module.train(mode)  # a module that predicts between two epochs goes on learning with dropout
