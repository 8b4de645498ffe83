"""The typed batch: made by the collator, read by networks and modules.

Letters, here and in every docstring: **B** examples, **N** windows (N ≥ B once long texts are windowed), **T** subword
tokens, **W** words, **C** classes, **H** hidden size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

IGNORE = -100
"""The target of a place that has none: padding, or an unlabelled row. It is PyTorch's own default `ignore_index`."""


@dataclass
class Batch:
    """One batch of encoded examples.

    Attributes:
        inputs: What the encoder's `forward` takes, by name: `input_ids [N,T]`, `attention_mask [N,T]`, and
            `token_type_ids [N,T]` where the architecture has it. All int64.
        example_ids: The position of each example in its split. Int64 `[B]`.
        window_to_example: The row in this batch that each window belongs to. Int64 `[N]`.
        targets: The right answers, or `None` when predicting: class indices int64 `[B]`, 0/1 labels float32 `[B,C]`,
            scores float32 `[B]`, or tag indices int64 `[B,W]` (`IGNORE` beyond an example's last word).
        word_ids: For tags, the word each subword belongs to, counted within its example; −1 for special tokens and
            padding. Int64 `[N,T]`.
        first_subword: For tags, where in the flattened `[N*T]` a word's first subword lies; −1 for a word that has
            none, because the tokenizer dropped it or the window ended before it. Int64 `[B,W]`.
        word_counts: For tags, how many words each example has. Int64 `[B]`.
        groups: For candidates that are ranked together, the number of the question each is for. Int64 `[B]`.
        labelled: Which examples have a label, bool `[B]`; `None` where all have. The targets of others are `IGNORE`.
        soft: What a teacher says of the examples, as logits of the shape of scores, float32 `[B,C]`, `[B,W,C]` or
            `[B]`; NaN where it says nothing. `None` where there is no teacher.
        pairs: Of a batch of P pairs, the two examples of each, by their places in it. Int64 `[P,2]`.
    """

    inputs: dict[str, Tensor]
    example_ids: Tensor
    window_to_example: Tensor
    targets: Tensor | None = None
    word_ids: Tensor | None = None
    first_subword: Tensor | None = None
    word_counts: Tensor | None = None
    groups: Tensor | None = None
    pairs: Tensor | None = None
    labelled: Tensor | None = None
    soft: Tensor | None = None

    def __len__(self) -> int:
        """The number of examples, B."""
        return len(self.example_ids)

    @property
    def word_mask(self) -> Tensor:
        """True where an example has a word: bool `[B,W]`."""
        first_subword, word_counts = self.words()
        return torch.arange(first_subword.shape[1], device=word_counts.device) < word_counts[:, None]

    def words(self) -> tuple[Tensor, Tensor]:
        """`first_subword [B,W]` and `word_counts [B]` of a batch that has words.

        Raises:
            TypeError: If this batch was collated from texts rather than words.
        """
        if self.first_subword is None or self.word_counts is None:
            raise TypeError("this batch has no words: a head or module for tags was given a batch of texts")
        return self.first_subword, self.word_counts

    def require_targets(self) -> Tensor:
        """The targets of a batch that has them.

        Raises:
            TypeError: If this batch was collated for prediction.
        """
        if self.targets is None:
            raise TypeError("this batch has no targets: it was collated for prediction")
        return self.targets

    def labelled_part(self, scores: Tensor) -> tuple[Tensor, Self]:
        """Of a batch that is scored, the scores and what they are compared with, of the examples that have a label.

        Args:
            scores: `[B,…]`.
        """
        if self.labelled is None:
            return scores, self
        names = ("example_ids", "targets", "first_subword", "word_counts", "groups")
        part = {name: value[self.labelled] for name in names if (value := getattr(self, name)) is not None}
        return scores[self.labelled], dataclasses.replace(self, labelled=None, soft=None, **part)

    def to(self, device: torch.device | str, non_blocking: bool | None = None) -> Self:
        """The same batch with every tensor on a device; unless told, a GPU is not waited for, as Lightning has it."""
        aside = torch.device(device).type == "cuda" if non_blocking is None else non_blocking
        return self._map(lambda tensor: tensor.to(device, non_blocking=aside))

    def pin_memory(self) -> Self:
        """The same batch in page-locked memory, for faster copies to a GPU."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, function: Any) -> Self:
        def apply(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: function(tensor) for key, tensor in value.items()}
            return function(value) if isinstance(value, Tensor) else value

        return dataclasses.replace(
            self, **{field.name: apply(getattr(self, field.name)) for field in dataclasses.fields(self)}
        )


@dataclass
class TaskBatches:
    """What a training step of several tasks is given.

    Attributes:
        groups: Batches by task. Those of one group are of the same texts, and have the same `inputs`.
    """

    groups: list[dict[str, Batch]]

    def __len__(self) -> int:
        """The number of examples, each counted once however many tasks it is of."""
        return sum(len(next(iter(group.values()))) for group in self.groups)

    def to(self, device: torch.device | str, non_blocking: bool | None = None) -> Self:
        """The same batches with every tensor on a device."""
        return self._map(lambda batch: batch.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """The same batches in page-locked memory."""
        return self._map(lambda batch: batch.pin_memory())

    def _map(self, function: Callable[[Batch], Batch]) -> Self:
        moved = []
        for group in self.groups:
            first, *others = group
            head = function(group[first])
            rest = {name: function(dataclasses.replace(group[name], inputs={})) for name in others}
            moved.append({first: head, **{n: dataclasses.replace(b, inputs=head.inputs) for n, b in rest.items()}})
        return dataclasses.replace(self, groups=moved)
