"""The encoded splits of a source, opened for training."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_clf.counts import ClassCounts
from lightning_clf.data import cache
from lightning_clf.data.batching import count_windows
from lightning_clf.data.checks import column, sum_column
from lightning_clf.data.encoded import Encoding
from lightning_clf.data.holdout import hold_out
from lightning_clf.data.imbalance import meets_imbalance, report
from lightning_clf.data.shots import draw_shots
from lightning_clf.data.sources import misnamed
from lightning_clf.data.split import Split
from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace

_SHOWN = 5  # labels that are listed
_FEW = 20
"""Rows of dev below which its score is as much chance as not."""
Learned = dict[str, tuple[int, str]]
"""By split how many rows it has, and a digest of them."""
_NONE = (0, "")
UNLABELLED = "unlabelled"
"""What the rows are called that are read without labels, among the splits of a source."""


class PreparedSplits:
    """Encoded rows by split, memory-mapped from the cache.

    Args:
        splits: Where the rows come from.
        encodings: How each split is encoded.
        cache_dir: Where the cache is.

    Raises:
        RuntimeError: If a split has not been prepared.
    """

    def __init__(self, splits: Mapping[str, Split], encodings: Mapping[str, Encoding], cache_dir: Path) -> None:
        self.splits = splits
        self.encodings = encodings
        self._rows: dict[str, Dataset] = {}
        self._contents: dict[str, str] = {}
        for name, split in splits.items():
            loaded = cache.load(split, encodings[name], cache_dir)
            if loaded is None:
                raise RuntimeError(f"{split.name} is not in the cache {cache_dir}: call prepare_data before setup")
            self._rows[name], self._contents[name] = loaded[0], loaded[1].digest

    def __contains__(self, name: str) -> bool:
        """Whether there is such a split, of the source or made of its train."""
        return name in self._rows

    def hold_out(self, fraction: float, seed: int) -> None:
        """Make a dev split of some rows of train, for single labels with the same share of each.

        Args:
            fraction: How much of train.
            seed: Which rows.
        """
        train, split = self._rows["train"], self.splits["train"]
        kept, held = self._held_out(train, fraction, seed)
        self._rows |= {"train": train.select(kept), "val": train.select(held)}
        said = f"{split.name}: {len(held)} of {len(train)} rows are held out as dev split (data.seed={seed})"
        if len(held) < _FEW:
            rank_zero_warn(f"{said}, too few to tell which epoch is best: give a dev split")
        else:
            rank_zero_info(said)

    def _held_out(self, train: Dataset, fraction: float, seed: int) -> tuple[list[int], list[int]]:
        if "group" in train.column_names:  # whole ones, since a question that is trained on says nothing of others
            groups = column(train, "group").to_pylist()
            met = sorted(set(groups))
            if len(met) == 1:
                raise InputError(
                    f"{self.splits['train'].name} has one question, of which no other can be held out: give a dev split"
                )
            _, chosen = hold_out(len(met), fraction, seed)
            held = {met[place] for place in chosen}
            is_held = [group in held for group in groups]
            kept = [row for row, held_out in enumerate(is_held) if not held_out]
            return kept, [row for row, held_out in enumerate(is_held) if held_out]
        strata = column(train, "target").to_pylist() if self.encodings["train"].labels.kind == "single" else None
        return hold_out(len(train), fraction, seed, strata)

    def few_shots(self, shots: int, fraction: float, seed: int) -> None:
        """Leave in train a few rows a label, and make of its others the dev and the test split, where there are none.

        Args:
            shots: How many rows a label.
            fraction: How much of the others is the dev split, where there is none.
            seed: Which rows.
        """
        train, split, labels = self._rows["train"], self.splits["train"], self.encodings["train"].labels
        by = f"(data.seed={seed})"
        targets = column(train, "target").to_pylist()
        kept, others = draw_shots(targets, len(labels), shots, seed)
        self._rows["train"] = train.select(kept)
        rank_zero_info(f"{split.name}: {len(kept)} of {len(train)} rows are drawn{_fewer(targets, labels, shots)} {by}")
        if "val" not in self and len(others) > 1:
            test, dev = hold_out(len(others), fraction, seed)
            self._rows["val"] = train.select([others[place] for place in dev])
            others = [others[place] for place in test]
            rank_zero_info(f"{split.name}: {len(dev)} of the others are the dev split")
        if "test" not in self and others:
            self._rows["test"] = train.select(others)
            rank_zero_info(f"{split.name}: {len(others)} of the others are the test split")

    def rows(self, name: str) -> Dataset:
        """The rows of a split.

        Raises:
            InputError: If there is no such split, or none of its rows has a label.
        """
        if name not in self._rows:
            held = ", ".join(self.splits)
            raise InputError(
                f"data.source has no {name} split ({held} only): add data.source.{name}{misnamed(name, self.splits)}"
            )
        rows = self._rows[name]
        if not len(rows):
            raise InputError(
                f"no row of {self.splits[name].name} has a label (all have -1: the hub keeps the labels of contests "
                "to itself): evaluate on the val split instead"
            )
        return rows

    @cached_property
    def learned(self) -> Learned:
        """The rows a fit learns from and chooses its best epoch by, known once the source is divided."""
        found = {}
        for name in ("train", UNLABELLED, "val"):
            if name in self:
                rows, content = self._rows[name], self._contents.get(name, self._contents["train"])
                ids = column(rows, "example_id").to_numpy()
                found[name] = len(rows), hashlib.sha256(content.encode() + ids.tobytes()).hexdigest()
        return found

    def check_learned(self, before: Learned, trainer: Trainer) -> None:
        """Hold the rows against those of the fit that a fit goes on with; what is only scored may be of any.

        Args:
            before: What `learned` was.
            trainer: What goes on, from its checkpoint.

        Raises:
            InputError: If they are others, of which neither the schedule nor the best so far is.
        """
        if trainer.state.fn != TrainerFn.FITTING:
            return
        for name in {**before, **self.learned}:
            (now, digest), (then, known) = self.learned.get(name, _NONE), before.get(name, _NONE)
            if digest != known:
                where = self.splits.get(name, self.splits["train"]).name
                other = f"{now} rows, not the {then}" if now != then else f"{now} rows, but not those"
                raise InputError(
                    f"{where}: the {name} split has {other} of the fit that {trainer.ckpt_path} is of: go on with its "
                    "data, or leave --ckpt_path out and begin a new fit of its weights, with the export beside it, "
                    "best, as model.encoder"
                )

    def trained_on(self) -> Dataset:
        """The rows of train, and after them those that are read without labels, if there are any."""
        unlabelled = self._rows.get(UNLABELLED)
        return self.rows("train") if unlabelled is None else concatenate_datasets([self.rows("train"), unlabelled])

    def report_lengths(self) -> None:
        """Say in one line what the window cut, or what is read in several."""
        encoding = next(iter(self.encodings.values()))
        if encoding.stride is not None:
            many = {name: (count_windows(rows) > 1).sum() for name, rows in self._rows.items() if len(rows)}
            shown = ", ".join(f"{count} of the {len(self._rows[name])} of {name}" for name, count in many.items())
            rank_zero_info(f"max_length={encoding.max_length} takes several windows for {shown}")
            return
        unit = "words" if encoding.labels.kind == "tags" else "texts"
        cut = ", ".join(f"{count} of {name}" for name, count in self.truncated_counts.items() if count)
        if cut:
            rank_zero_info(f"max_length={encoding.max_length} cuts {unit}: {cut}")

    def report_imbalance(self, counts: ClassCounts, epoch_size: int, module: Any, sampling: object | None) -> None:
        """Say in a few lines how unevenly train has its labels, if it does, and how many rows an epoch has.

        Args:
            counts: How often train has each label.
            epoch_size: How many rows an epoch of training sees.
            module: What learns of them.
            sampling: What draws the rows of an epoch.
        """
        rows = len(self._rows["train"])
        by_rows = not getattr(module, "learns_from_pairs", False)  # what is advised are keys of those
        for line in report(counts, rows, is_advised=by_rows, is_met=meets_imbalance(module, sampling)):
            rank_zero_info(line)
        if UNLABELLED in self:
            name, count = self.splits[UNLABELLED].name, len(self._rows[UNLABELLED])
            rank_zero_info(f"{name}: {count} rows are learned of a teacher alone, beside the {rows} of train")
        elif epoch_size != rows:
            rank_zero_info(f"data.sampling: an epoch has {epoch_size} rows in place of the {rows} of train")

    @property
    def truncated_counts(self) -> dict[str, int]:
        """How many texts (for tags: words) of each split the window cut."""
        return {name: sum_column(rows, "truncated") for name, rows in self._rows.items()}


def _fewer(targets: list[Any], labels: LabelSpace, shots: int) -> str:
    """Which labels have fewer rows than are to be drawn, for a message."""
    counts = Counter(label for target in targets for label in (target if isinstance(target, list) else [target]))
    few = [f"{name} {counts[place]}" for place, name in enumerate(labels.names) if counts[place] < shots]
    shown = ", ".join(few[:_SHOWN]) + (" …" if len(few) > _SHOWN else "")
    return f", all there are of what has fewer than {shots} ({shown})" if few else ""
