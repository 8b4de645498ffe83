"""A few labelled rows to train on, and all others to see what came of it."""

from __future__ import annotations

from typing import Any, ClassVar

from lightning_clf.data.division import FewShots
from lightning_clf.data.loading import BatchLoader, Place
from lightning_clf.data.pairs import Pairs
from lightning_clf.data.sequence import SequenceDataModule
from lightning_clf.data.sources import Source
from lightning_clf.data.text_rows import TextKind
from lightning_clf.errors import InputError, check_number


class FewShotDataModule(SequenceDataModule):
    """So many rows a label to train on, out of any source; the rest of train is the test split.

    The choice follows from `seed`. A source's own test and dev splits are left as they are. Where it has no dev split,
    `val_fraction` of the rest is one; where there is no rest, of the few themselves.

    A module that learns from pairs, such as `SetFitClassifier`, is given batches of them in training; any other
    batches of rows, so that both can be compared on the same few.

    Args:
        source: As for `SequenceDataModule`.
        shots: How many rows a label; for `kind: multi` at least as many of each, as far as train has them. 8 is what
            SetFit is known for. `None` takes all of train, for a source that is few rows already.
        pairs: How many pairs of rows an epoch has, as far as ten of each make them. `None` is 40 for each row trained
            on, 20 that share a label and 20 that do not, as many as `num_iterations: 20` of the package `setfit` draws;
            `Pairs` says which they are.
        batch_size: Rows a training step and process, or pairs; 16 is SetFit's.
        **options: What `SequenceDataModule` takes.

    Raises:
        InputError: If an argument is out of range, or the source is not there.
    """

    kinds: ClassVar[tuple[TextKind, ...]] = ("single", "multi")

    def __init__(
        self,
        source: Source | None = None,
        *,
        shots: int | None = 8,
        pairs: int | None = None,
        batch_size: int = 16,
        **options: Any,
    ) -> None:
        super().__init__(source, batch_size=batch_size, **options)
        if shots is not None:
            check_number("data.shots", shots, least=1, whole=True)
            if self.group_column is not None:
                raise InputError(
                    "data.group_column ranks all candidates for a question, and data.shots takes some of them out: "
                    "leave one of them out"
                )
            self.division = FewShots(self.division.val_fraction, self.seed, shots)
        if pairs is not None:
            check_number("data.pairs", pairs, least=2, whole=True)
        self._budget = pairs
        self.pairs: Pairs | None = None

    def setup(self, stage: str | None = None) -> None:
        """Open what `prepare_data` wrote, draw rows, and list their pairs for a module that learns from them.

        Raises:
            InputError: If `prepare_data` met one, or keys that are for rows stand with pairs.
        """
        super().setup(stage)
        self.pairs = None
        if stage == "fit" and getattr(self._module(), "learns_from_pairs", False):
            for key in ("batch_tokens", "sampling"):
                if getattr(self.loading, key) is not None:
                    raise InputError(f"data.{key} is for batches of rows, but these are of pairs: leave it out")
            self.pairs = Pairs.of(self._rows_of("train"), self.labels, self._budget)

    def train_dataloader(self) -> BatchLoader:
        """Shuffled batches of the train split, or of its pairs."""
        if self.pairs is None:
            return super().train_dataloader()
        return self.loading.train_pairs(self.encoded("train"), Place.of(self.trainer), self._position, self.pairs)

    def train_rows_dataloader(self) -> BatchLoader:
        """Batches of the train split, each row once, for one process alone."""
        return self.loading.evaluate(self.encoded("train"), Place.of(self.trainer)._replace(processes=1, rank=0))
