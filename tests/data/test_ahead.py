"""A loader that makes several batches at a time hands out what one does that makes each as it is asked for."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from lightning_clf.data import SequenceDataModule
from lightning_clf.data.ahead import AheadLoader, whole_batches

from .conftest import texts
from .test_training import Recorder, trainer

STOPS = (3, 8, 11, 21, 22, 23, 30)


class Squares(Dataset[int]):
    """Squares, and what was asked for so far."""

    def __init__(self, count: int, bad: int | None = None) -> None:
        self.count = count
        self.bad = bad
        self.made: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> int:
        self.made.append(place)
        if place == self.bad:
            raise ValueError("no luck")
        return place**2


def loader(rows: Squares, workers: int = 0) -> AheadLoader:
    return whole_batches(rows, SequentialSampler(rows), lambda square: -square, workers, seed=3)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("count", [0, 1, 3, 7, 8, 15, 16])
def test_what_is_handed_out(count: int, workers: int) -> None:
    found = loader(Squares(count), workers)
    for _ in range(2):
        assert len(iter(found)) == count  # type: ignore[arg-type]  # as that of any `DataLoader` has a length
        assert list(found) == [-(place**2) for place in range(count)]
    assert len(found) == count


def test_the_more_are_asked_for_the_more_are_made() -> None:
    rows = Squares(26)
    batches = iter(loader(rows))
    assert rows.made == []
    made = []
    for place, batch in enumerate(batches):
        assert batch == -(place**2)
        made.append(len(rows.made))
    assert made == [1, 3, 3, 7, 7, 7, 7, *[15] * 8, *[23] * 8, *[26] * 3]


@pytest.mark.parametrize("bad", [0, 1, 2, 13])
def test_an_error_is_raised_where_it_would_have_been_handed_out(bad: int) -> None:
    batches = iter(loader(Squares(20, bad)))
    assert [next(batches) for _ in range(bad)] == [-(place**2) for place in range(bad)]
    with pytest.raises(ValueError, match="no luck"):
        next(batches)
    assert list(batches) == [-(place**2) for place in range(bad + 1, 20)]  # as with any `DataLoader`
    with pytest.raises(StopIteration):
        next(batches)


def test_memory_that_is_pinned_is_filled_as_it_is_asked_for() -> None:
    rows = Squares(12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a machine without a GPU
        batches = iter(AheadLoader(rows, batch_size=None, pin_memory=True))
        next(batches)
    assert rows.made == [0]


def test_making_one_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    found = loader(Squares(5))
    assert torch.equal(torch.get_rng_state(), before)
    assert isinstance(found, DataLoader)


class Saving(Callback):
    """Writes checkpoints amid an epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: Trainer, *others: Any) -> None:
        """Write one, at some steps."""
        if trainer.global_step in STOPS:
            trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


def test_a_fit_goes_on_from_amid_what_is_made_at_once(tmp_path: Path) -> None:
    def fit(start: Path | None = None) -> list[list[int]]:
        module, saving = Recorder(), [] if start else [Saving(tmp_path)]
        run = trainer(max_epochs=2, callbacks=saving)
        run.fit(module, datamodule=SequenceDataModule(texts(24), batch_size=1), ckpt_path=start, weights_only=True)
        return module.seen["train"]

    whole = fit()
    assert len(whole) == 2 * 22
    for stop in STOPS:
        assert fit(tmp_path / f"{stop}.ckpt") == whole[stop:]
