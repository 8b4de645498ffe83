"""Scores of entities: spans of words with a type, as tag schemes write them."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics.base import Scores, Summary
from lightning_clf.metrics.counts import Tally, count_pairs, ratio
from lightning_clf.span_grid import SpanGrid, TagTables, find_spans


def entity_confusion(preds: Tensor, targets: Tensor, tables: TagTables, types: int) -> Tensor:
    """Which entities of a batch were found, and as what.

    Args:
        preds: Tag indices, int64 `[B,W]`.
        targets: The right tag indices, int64 `[B,W]`; `IGNORE` beyond an example's last word.
        tables: The tables of the label space.
        types: How many entity types there are, K.

    Returns:
        Counts int64 `[K+1,K+1]`: rows are the right types, columns the predicted ones, and the last of either stands
        for no entity with these very boundaries.
    """
    mask = targets != IGNORE
    # right and predicted ones in one pass, since of few words each operation is what takes time
    both = find_spans(torch.cat([targets, preds]), mask.repeat(2, 1), tables)
    gold, found = (SpanGrid(*parts) for parts in zip(*(values.chunk(2) for values in both), strict=True))
    same = gold.starts & found.starts & (gold.ends == found.ends)
    nothing = torch.full_like(gold.kinds, types)
    rows = torch.cat([gold.kinds, nothing])
    columns = torch.cat([found.kinds.where(same, types), found.kinds])
    return count_pairs(rows, columns, torch.cat([gold.starts, found.starts & ~same]), types + 1)


def entity_summary(confusion: Tensor, correct_words: Tensor, words: Tensor) -> Summary:
    """The scores of the counts of `EntityF1`, all int64 on the CPU.

    Args:
        confusion: What `entity_confusion` returned, summed. `[K+1,K+1]`.
        correct_words: How many words got the right tag, a scalar.
        words: How many words there are, a scalar.
    """
    types = len(confusion) - 1
    tally = Tally(confusion.diagonal()[:types], predicted=confusion.sum(0)[:types], gold=confusion.sum(1)[:types])
    whole = tally.micro()
    scalars = {
        "entity_precision": whole.precision[0],
        "entity_recall": whole.recall[0],
        "entity_f1": whole.f1[0],
        "accuracy": ratio(correct_words, words),
    }
    return Summary(scalars, tally, confusion)


class EntityF1(Scores):
    """Strict entity precision, recall and F1, and the accuracy of words.

    An entity counts if its type and both its boundaries are right. The numbers are those of `seqeval` with
    `mode="strict"`, the label space's scheme and micro average, on predictions the scheme does not allow too.

    Args:
        labels: Tags of a scheme with spans.

    Raises:
        ValueError: If the labels are no tags with spans.

    Example:
        >>> import torch
        >>> from lightning_clf.labels import LabelSpace
        >>> scores = EntityF1(LabelSpace.tags(["PER", "LOC"], "IOB2"))  # O, B-PER, I-PER, B-LOC, I-LOC
        >>> scores.update(torch.tensor([[1, 2, 0, 1, 0]]), torch.tensor([[1, 2, 0, 3, -100]]))
        >>> scores.compute()["entity_f1"].item(), scores.compute()["accuracy"].item()
        (0.5, 0.75)
    """

    counts: Tensor
    correct_words: Tensor
    words: Tensor

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__(labels.entity_types)
        self._tables = TagTables.of(labels)
        size = len(self.class_names) + 1
        self.add_state("counts", torch.zeros(size, size, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("correct_words", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("words", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, targets: Tensor) -> None:
        """Take in one batch.

        Args:
            preds: Tag indices, int64 `[B,W]`, of any value where the target is `IGNORE`.
            targets: The right tag indices, int64 `[B,W]`; `IGNORE` beyond an example's last word.
        """
        # a plain attribute and not a buffer, which DDP would broadcast before every step
        self._tables = self._tables.to(preds.device)
        self.counts = self.counts + entity_confusion(preds, targets, self._tables, len(self.class_names))
        self.correct_words = self.correct_words + ((preds == targets) & (targets != IGNORE)).sum()
        self.words = self.words + (targets != IGNORE).sum()

    def summarise(self) -> Summary:
        """The scores of all batches; the confusion is that of `entity_confusion`, `[K+1,K+1]` over K entity types."""
        return entity_summary(self.counts.cpu(), self.correct_words.cpu(), self.words.cpu())
