"""Which of a source's rows stand in for the splits it lacks."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_clf.data.prepared import PreparedSplits


@dataclass(frozen=True)
class Division:
    """A dev split out of train, where there is none.

    Attributes:
        val_fraction: How much of train.
        seed: Which rows.
    """

    val_fraction: float
    seed: int

    def apply(self, prepared: PreparedSplits) -> None:
        """Divide the splits of a source that are open."""
        if "train" in prepared and "val" not in prepared:
            prepared.hold_out(self.val_fraction, self.seed)


@dataclass(frozen=True)
class FewShots(Division):
    """A few rows a label to train on; of the others a dev split, where there is none, and of what is left a test split.

    Where no other rows are left, the dev split comes out of the few.

    Attributes:
        shots: How many rows a label.
    """

    shots: int

    def apply(self, prepared: PreparedSplits) -> None:
        """Divide the splits of a source that are open."""
        if "train" in prepared:
            prepared.few_shots(self.shots, self.val_fraction, self.seed)
        super().apply(prepared)
