"""Scores of any number of labels an example."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics.base import Scores, Summary, require_kind
from lightning_clf.metrics.counts import Tally, averages, ratio


def multi_label_summary(confusion: Tensor, exact: Tensor, samples: Tensor, matches_by_size: Tensor) -> Summary:
    """The scores of the counts of `MultiLabelScores`, all int64 on the CPU.

    Args:
        confusion: `[[tn, fp], [fn, tp]]` of each label, `[C,2,2]`.
        exact: In how many examples every label was decided rightly, a scalar.
        samples: How many examples there are, a scalar.
        matches_by_size: At s, the number of labels both right and predicted, summed over the examples in which the
            right labels and the predicted labels are s together. `[2C+1]`.
    """
    labels = len(confusion)
    missed, correct = confusion[:, 1, 0], confusion[:, 1, 1]
    false_alarms = confusion[:, 0, 1]
    tally = Tally(correct, predicted=correct + false_alarms, gold=correct + missed)
    # the F1 of an example is 2·matches / s: examples of one s add up before the division, which keeps the state integer
    sample_f1 = ratio(2 * matches_by_size, torch.arange(2 * labels + 1)).sum()
    scalars = {
        "accuracy": ratio(exact, samples),
        **averages(tally, torch.ones(labels, dtype=torch.bool)),
        "f1_samples": ratio(sample_f1, samples),
        "hamming_loss": ratio((missed + false_alarms).sum(), samples * labels),
    }
    return Summary(scalars, tally, confusion)


class MultiLabelScores(Scores):
    """Scores of any number of labels an example, as scikit-learn defines them with `zero_division=0`.

    `accuracy` is that of the whole set of labels (an example counts if every label is right), `f1_samples` the mean of
    each example's own F1 (0 for an example without right and without predicted labels), `hamming_loss` the share of
    wrong decisions. Macro means are over all labels, those that never occur included.

    Args:
        labels: Labels of kind `multi`.

    Raises:
        ValueError: If the labels are of another kind.

    Example:
        >>> import torch
        >>> from lightning_clf.labels import LabelSpace
        >>> scores = MultiLabelScores(LabelSpace.of(["joy", "anger"], "multi"))
        >>> scores.update(torch.tensor([[1, 0], [1, 1]]), torch.tensor([[1, 0], [0, 1]]))
        >>> scores.compute()["accuracy"].item(), scores.compute()["hamming_loss"].item()
        (0.5, 0.25)
    """

    counts: Tensor
    exact: Tensor
    samples: Tensor
    matches_by_size: Tensor

    def __init__(self, labels: LabelSpace) -> None:
        require_kind(labels, "MultiLabelScores", expected=labels.kind == "multi")
        super().__init__(labels.names)
        shapes = {"counts": (len(labels), 2, 2), "exact": (), "samples": (), "matches_by_size": (2 * len(labels) + 1,)}
        for name, shape in shapes.items():
            self.add_state(name, torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, targets: Tensor) -> None:
        """Take in one batch.

        Args:
            preds: Chosen labels, 0 or 1, `[B,C]`.
            targets: The right labels, 0 or 1, `[B,C]` of any type; an example with `IGNORE` in it is left out.
        """
        kept = (targets != IGNORE).all(dim=1)
        chosen, gold = preds.bool() & kept[:, None], targets.bool() & kept[:, None]
        both = chosen & gold
        tp, fp, fn = both.sum(0), (chosen & ~gold).sum(0), (~chosen & gold).sum(0)
        tn = kept.sum() - tp - fp - fn
        self.counts = self.counts + torch.stack([tn, fp, fn, tp], dim=1).view(-1, 2, 2)
        self.exact = self.exact + ((chosen == gold).all(dim=1) & kept).sum()
        self.samples = self.samples + kept.sum()
        self.matches_by_size = self.matches_by_size.index_add(0, chosen.sum(1) + gold.sum(1), both.sum(1))

    def summarise(self) -> Summary:
        """The scores of all batches; the confusion is `[C,2,2]`, one table a label: rows right, columns chosen."""
        return multi_label_summary(self.counts.cpu(), self.exact.cpu(), self.samples.cpu(), self.matches_by_size.cpu())
