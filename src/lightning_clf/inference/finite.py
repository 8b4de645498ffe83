"""Scores that are numbers, before anything is answered by them."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten

from torch import Tensor

from lightning_clf.batch import Batch
from lightning_clf.errors import InputError
from lightning_clf.inference.inputs import ReadRow


def check_finite(scores: Tensor, batch: Batch, read: Sequence[ReadRow]) -> None:
    """Hold a batch's scores against what can be answered by.

    Args:
        scores: What the network gave: `[B,…]`, for tags `[B,W,…]`.
        batch: The batch.
        read: Its rows.

    Raises:
        InputError: If a score of a text, or of a word that a subword speaks for, is infinite or NaN.
    """
    finite = scores.isfinite()
    if finite.all():
        return
    if batch.first_subword is not None:  # what is computed where there is no word is of no meaning
        finite = finite.flatten(2).all(2) | (batch.first_subword < 0)
    bad = (~finite.reshape(len(finite), -1).all(1)).nonzero().flatten().tolist()
    if bad:
        row = read[bad[0]]
        raise InputError(
            f"the model gives no number for {shorten(' '.join(row.texts or row.words), 60, placeholder=' …')!r}: its "
            "weights are damaged, or too large for this precision; train it again, or take another"
        )
