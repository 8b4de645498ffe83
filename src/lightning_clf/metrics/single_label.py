"""Scores of one label an example, or one tag a word where tags are not spans."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics.base import Scores, Summary, require_kind
from lightning_clf.metrics.counts import Tally, averages, count_pairs, ratio


def single_label_summary(confusion: Tensor) -> Summary:
    """The scores of a confusion matrix.

    Args:
        confusion: Rows are the right classes, columns the predicted ones. Int64 `[C,C]` on the CPU.
    """
    correct = confusion.diagonal()
    tally = Tally(correct, predicted=confusion.sum(0), gold=confusion.sum(1))
    present = (tally.predicted + tally.gold) > 0
    scalars = {"accuracy": ratio(correct.sum(), confusion.sum()), **averages(tally, present)}
    return Summary(scalars, tally, confusion)


class SingleLabelScores(Scores):
    """Accuracy, F1, precision and recall of one label an example or a word.

    Macro means follow scikit-learn's default: a class that is neither right nor predicted anywhere is left out. With
    one label each, `f1_micro` equals `accuracy`.

    Args:
        labels: Labels of kind `single`, or tags of scheme `none`.

    Raises:
        ValueError: If the labels are of another kind.

    Example:
        >>> import torch
        >>> from lightning_clf.labels import LabelSpace
        >>> scores = SingleLabelScores(LabelSpace.of(["no", "yes"], "single"))
        >>> scores.update(torch.tensor([0, 1, 1, 1]), torch.tensor([0, 1, 0, -100]))
        >>> round(scores.compute()["accuracy"].item(), 3)
        0.667
    """

    counts: Tensor

    def __init__(self, labels: LabelSpace) -> None:
        require_kind(labels, "SingleLabelScores", expected=labels.kind == "single" or labels.scheme == "none")
        super().__init__(labels.names)
        self.add_state("counts", torch.zeros(len(labels), len(labels), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, targets: Tensor) -> None:
        """Take in one batch.

        Args:
            preds: Class indices, int64 `[B]` or `[B,W]`.
            targets: The right class indices, of the same shape; `IGNORE` where there is none.
        """
        self.counts = self.counts + count_pairs(targets, preds, targets != IGNORE, len(self.class_names))

    def summarise(self) -> Summary:
        """The scores of all batches; the confusion matrix is `[C,C]`, rows right, columns predicted."""
        return single_label_summary(self.counts.cpu())
