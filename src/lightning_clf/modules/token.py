"""One tag of C for each word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.errors import InputError
from lightning_clf.heads.pooling import gather_words
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.losses import ClassWeights, CrossEntropyLoss, Loss, LossTerms
from lightning_clf.modules.base import ClassifierModule
from lightning_clf.network import Network
from lightning_clf.schemes import split_tag


class TokenClassifier(ClassifierModule):
    """Softmax over tags for each word with cross-entropy.

    Judged by strict entity F1 where the tags are spans, and by accuracy over words where they are not. Words are
    trained, scored and predicted; subwords are only trained, and only where `train_continuations` asks for it.

    Args:
        train_continuations: Whether a word's later subwords are trained too, on the tag that continues the word's
            own (`I-PER` after `B-PER`). Off, as in BERT's paper. Scores and predictions are by word either way, and so
            is the loss of validation and test.
        **options: What `ClassifierModule` takes; `monitor=None` takes `val/entity_f1`, or `val/accuracy` for scheme
            `none`.

    Raises:
        InputError: If continuations are to be trained under a head that brings its loss, which is one of words, or
            that makes a word of all its subwords.
    """

    kind: ClassVar[Kind] = "tags"
    default_monitor: ClassVar[str] = "val/entity_f1"
    continuation: Tensor

    def __init__(self, encoder: str | Path, *, train_continuations: bool = False, **options: Any) -> None:
        super().__init__(encoder, **options)
        if train_continuations and self.loss is None:
            raise InputError(
                "model.train_continuations trains subwords, but the loss that model.head brings is one of words: leave "
                "one of them out"
            )
        pooling = getattr(options.get("head"), "pooling_name", None)
        if train_continuations and pooling not in ("first", None):
            # a subword that is trained as a word of its own would be pooled alone, as no prediction pools it
            raise InputError(
                f"model.train_continuations trains each subword alone, but model.head pools them ({pooling}): set "
                "pooling to first, or leave model.train_continuations out"
            )
        self.train_continuations = train_continuations

    @classmethod
    def default_loss(cls, class_weights: ClassWeights | None) -> Loss:
        """Cross-entropy over words."""
        return CrossEntropyLoss(class_weights)

    def adopt(self, network: Network) -> None:
        """As any module; and say how words of several subwords are trained."""
        super().adopt(network)
        self.register_buffer("continuation", continuation_table(network.labels), persistent=False)
        if network.labels.scheme == "none" and self.monitor == self.default_monitor:
            self.monitor = "val/accuracy"

    def score(self, batch: Batch) -> tuple[Tensor, LossTerms]:
        """Scores of words `[B,W,C]`, and the loss over words; in training over all their subwords, where asked for."""
        if not (self.train_continuations and self.training):  # what is judged is what a prediction computes
            return super().score(batch)
        pieces = subword_batch(batch, self.continuation)
        piece_scores = self(pieces)
        return gather_words(piece_scores, batch), self.compute_loss(piece_scores, pieces)

    def compute_loss(self, scores: Tensor, batch: Batch) -> LossTerms:
        """The loss over words that have a subword in the window."""
        first_subword, _ = batch.words()
        targets = torch.where(first_subword >= 0, batch.require_targets(), IGNORE)
        return super().compute_loss(scores, replace(batch, targets=targets))


def continuation_table(labels: LabelSpace) -> Tensor:
    """For each tag the one that a later subword of the same word has: `I-X` for `B-X`, itself otherwise. `[C]`."""
    table = []
    for index, name in enumerate(labels.names):
        prefix, kind = split_tag(name) if labels.scheme != "none" else ("", "")
        inside = f"I-{kind}"
        table.append(labels.index(inside) if prefix in ("B", "S") and inside in labels.names else index)
    return torch.tensor(table)


def subword_batch(batch: Batch, continuation: Tensor) -> Batch:
    """The same batch with every subword a word of its own, whose tag continues that of its word.

    Args:
        batch: A batch of words with targets `[B,W]`.
        continuation: The table of `continuation_table`, `[C]`.

    Returns:
        A batch of N examples with T words each, of which special tokens and padding have no subword.
    """
    first_subword, _ = batch.words()
    assert batch.word_ids is not None
    windows, length = batch.word_ids.shape
    inside = batch.word_ids >= 0
    position = torch.arange(windows * length, device=inside.device).view(windows, length)
    word = (batch.window_to_example[:, None], batch.word_ids.clamp(min=0))
    tags = batch.require_targets()[word]
    continued = torch.where(tags == IGNORE, IGNORE, continuation[tags.clamp(min=0)])
    return replace(
        batch,
        example_ids=batch.example_ids[batch.window_to_example],
        window_to_example=torch.arange(windows, device=inside.device),
        targets=torch.where(inside, torch.where(position == first_subword[word], tags, continued), IGNORE),
        word_ids=torch.where(inside, position % length, -1),
        first_subword=torch.where(inside, position, -1),
        word_counts=torch.full((windows,), length, device=inside.device),
    )
