"""What a head decides for one batch: the common language of heads, metrics and writers of predictions."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Prediction:
    """The decoded answers of one batch, one an example, or one a word for tags.

    Attributes:
        indices: The chosen labels: class indices int64 `[B]`, chosen labels 0/1 int64 `[B,C]`, or tag indices int64
            `[B,W]` (of no meaning beyond an example's last word). `None` for a score.
        probabilities: How sure the model is, float32: `[B,C]`, for tags `[B,W,C]`. `None` for a score and for heads
            that have no probabilities.
        scores: For a score, the number itself. Float32 `[B]`.
        abstained: Whether the answer is too unsure to be acted on, bool `[B]`; `None` where nothing says from when.
        label_sets: The labels that may well be right, bool `[B,C]`; `None` where nothing says how many.
    """

    indices: Tensor | None = None
    probabilities: Tensor | None = None
    scores: Tensor | None = None
    abstained: Tensor | None = None
    label_sets: Tensor | None = None


@dataclass
class RowPredictions:
    """What `trainer.predict` has of one batch, on the device of the module.

    Attributes:
        example_ids: The position in its split of each row, counted from 0, since batches are of rows of about the same
            length. Int64 `[B]`.
        prediction: Their answers, in that order. Without a field where B is 0, as of a process that has no row.
    """

    example_ids: Tensor
    prediction: Prediction
