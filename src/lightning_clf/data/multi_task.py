"""The data of several tasks, which one encoder is trained on."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Literal, get_args

from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader

from lightning_clf.batch import TaskBatches
from lightning_clf.data.ahead import whole_batches
from lightning_clf.data.base import BaseDataModule
from lightning_clf.data.batching import BatchRows
from lightning_clf.data.datamodule import DataModule
from lightning_clf.data.few_shot import FewShotDataModule
from lightning_clf.data.joining import joined
from lightning_clf.data.loading import BatchLoader, EncodedRows, Place
from lightning_clf.data.mixing import MixedBatches, Stream, StreamCollator, StreamRows, quotas
from lightning_clf.data.position import Position
from lightning_clf.encoding.tokenizer import ENCODER
from lightning_clf.errors import InputError, SharedError, a_type, check_number
from lightning_clf.stored import TASK_NAME

_LOG = logging.getLogger("lightning.pytorch.utilities.rank_zero")  # that of `rank_zero_info`
Mixing = Literal["size", "sqrt_size", "together"]


class MultiTaskDataModule(DataModule):
    """Several tasks, each with data of its own, whose training batches are mixed.

    Every task keeps its own dev and test split, and is evaluated on all of it.

    Args:
        tasks: The data of each task, by a name of letters, digits, `-` and `_`, which its metrics and export have.
        mixing: What a training step takes. `size` is a batch of one task, each as often as it has batches; `sqrt_size`
            by the square root of their number, and a mapping from tasks to weights by these, so that small tasks are
            seen more often: an epoch has as many steps as with `size`, and a task that runs out begins anew.
            `together` is a batch of every task in each step, for as many steps as the largest has batches.
        joint: Whether texts that several tasks label, such as a sentence with its intent and its slots, are encoded
            once and learned for all of them in one step. Texts are the same where the encoder reads the same; those
            that one task alone labels are batches of their own, and rows of a file that have no label for a task, or
            null, are no rows of it. Batches are made as the first of the tasks says.
        seed: With `seed_everything`, the order of the steps.

    Raises:
        InputError: If there is no task, a name or a weight is no such thing, or keys do not go together.
    """

    def __init__(
        self,
        tasks: dict[str, DataModule],
        *,
        mixing: Mixing | dict[str, float] = "size",
        joint: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not tasks:
            raise InputError("data.tasks is empty: name at least one task and its data")
        self.tasks = {name: _one_task(name, data) for name, data in tasks.items()}
        _check_folders(tasks)
        self.mixing = _checked(mixing, tasks)
        self.joint = joint
        if joint and isinstance(mixing, dict):
            raise InputError(
                "data.joint makes batches of several tasks, which data.mixing weighs one by one: set data.mixing to "
                "size, sqrt_size or together, or leave data.joint out"
            )
        for name, data in self.tasks.items():
            data.skips_unlabelled = joint
            if joint and data.loading.sampling is not None:
                raise InputError(
                    f"data.tasks.{name}.sampling repeats rows of one task, and with data.joint rows are of several: "
                    "leave one of them out"
                )
        self.seed = check_number("data.seed", seed, least=0, most=2**32 - 1, whole=True)
        self._position = Position.first(self.seed)

    def _attach(self) -> None:
        module: Any = self.trainer.lightning_module if self.trainer is not None else None
        if hasattr(module, "kind"):
            raise InputError(
                f"{type(module).__name__} learns one task, and MultiTaskDataModule is the data of several: take "
                "MultiTaskClassifier, or the data of one"
            )
        for name, data in self.tasks.items():
            data.trainer = self.trainer
            data.task_module = module.of_task(name) if hasattr(module, "of_task") else None

    def prepare_data(self) -> None:
        """Check and encode every split of every task, unless the cache has it.

        Raises:
            InputError: If a row cannot be used; it says which and why.
        """
        self._attach()
        for name, data in self.tasks.items():
            with told_of(name):
                data.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """Open what `prepare_data` wrote.

        Raises:
            InputError: If `prepare_data` met one, in this or another process.
        """
        self._attach()
        self._position = Position.first(self.seed)
        for name, data in self.tasks.items():
            with told_of(name):
                data.setup(stage)

    def state_dict(self) -> dict[str, Any]:
        """Where training stands, and the state of each task."""
        if self.trainer is None:
            return {}
        place = asdict(Position.of(self.trainer, self._position.order))
        return {**place, "tasks": {name: data.state_dict() for name, data in self.tasks.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Begin training where `state_dict` says.

        Raises:
            InputError: If that is amid an epoch of which another sampling has drawn the rows of a task, or a fit had
                other rows.
        """
        if not state_dict:
            return
        self._position = Position.kept(state_dict)
        for name, data in self.tasks.items():
            with told_of(name):
                data.load_state_dict(state_dict["tasks"].get(name, {}))

    def train_dataloader(self) -> DataLoader[TaskBatches]:
        """Steps of the train splits, in the order that `mixing` makes of them."""
        streams = self._streams()
        sizes = [len(stream.batches) for stream in streams]
        together = self.mixing == "together"
        if together:
            counts = [max(sizes)] * len(sizes)
        elif isinstance(self.mixing, dict):
            counts = quotas(sizes, [self.mixing[name] for name in self.tasks])
        else:
            counts = quotas(sizes, [size ** (0.5 if self.mixing == "sqrt_size" else 1) for size in sizes])
        steps = MixedBatches([stream.batches for stream in streams], counts, together=together, position=self._position)
        workers = max(data.loading.num_workers for data in self.tasks.values())
        return whole_batches(StreamRows(streams, steps), steps, StreamCollator(streams), workers, self.seed)

    def _streams(self) -> list[Stream]:
        encoded = {name: told_of(name)(data.encoded)("train") for name, data in self.tasks.items()}
        if not self.joint:
            return [self._stream({name: rows}) for name, rows in encoded.items()]
        groups = joined({name: rows.rows for name, rows in encoded.items()})
        said = "; ".join(f"{' and '.join(tasks)} {len(next(iter(rows.values())))}" for tasks, rows in groups.items())
        rank_zero_info(f"texts to train on: {said}")
        return [
            self._stream({name: encoded[name]._replace(rows=rows[name]) for name in tasks})
            for tasks, rows in groups.items()
        ]

    def _stream(self, encoded: Mapping[str, EncodedRows]) -> Stream:
        # made as the first task has its batches; of the others they have the targets
        first, one = next(iter(encoded.items()))
        place, start = Place.of(self.trainer), Position(self._position.order)
        loaders = {
            name: self.tasks[first].loading.train(some._replace(max_length=one.max_length), place, start)
            for name, some in encoded.items()
        }
        batches: Any = loaders[first].sampler
        rows = {name: BatchRows(some.rows, 1) for name, some in encoded.items()}
        collate: dict[str, Any] = {name: loader.collate_fn for name, loader in loaders.items()}
        return Stream(batches, rows, collate)

    def val_dataloader(self) -> list[BatchLoader]:
        """Batches of each task's dev split, each example once."""
        return [told_of(name)(data.val_dataloader)() for name, data in self.tasks.items()]

    def test_dataloader(self) -> list[BatchLoader]:
        """Batches of each task's test split, each example once."""
        return [told_of(name)(data.test_dataloader)() for name, data in self.tasks.items()]


@contextlib.contextmanager
def told_of(name: str) -> Iterator[None]:
    """Have what is said of a task's data, or is wrong with them, say of which task it is."""

    def named(record: logging.LogRecord) -> bool:
        record.msg, record.args = f"task {name}: {record.getMessage()}", ()
        return True

    _LOG.addFilter(named)
    try:
        yield
    except SharedError:  # whose own process says it
        raise
    except InputError as error:
        raise InputError(f"task {name}: {error}") from error
    finally:
        _LOG.removeFilter(named)


def _one_task(name: str, data: DataModule) -> BaseDataModule[Any]:
    if not TASK_NAME.fullmatch(name):
        raise InputError(f"data.tasks has {name!r}: name a task with letters, digits, - and _ alone")
    if name.lower() == ENCODER:
        raise InputError(f"data.tasks has {name!r}, which is the folder of the encoder in an export: name it otherwise")
    if not isinstance(data, BaseDataModule) or isinstance(data, FewShotDataModule):
        raise InputError(
            f"data.tasks.{name} is {a_type(data)}, which is not the data of one task in full: take another, "
            "such as SequenceDataModule"
        )
    return data


def _check_folders(names: Iterable[str]) -> None:
    """Refuse tasks whose exports would be one folder on a disk that does not tell a from A."""
    known: dict[str, str] = {}
    for name in names:
        if (other := known.setdefault(name.lower(), name)) != name:
            raise InputError(
                f"data.tasks has {other!r} and {name!r}, whose exports would be one folder where a disk does not tell "
                "small letters from capital ones: name one of them otherwise"
            )


def _checked(mixing: Mixing | dict[str, float], tasks: Mapping[str, Any]) -> Mixing | dict[str, float]:
    if not isinstance(mixing, dict):
        if mixing not in get_args(Mixing):
            known = ", ".join(get_args(Mixing))
            raise InputError(f"data.mixing is {mixing!r}: use {known}, or a mapping from tasks to weights")
        return mixing
    for name in tasks.keys() - mixing.keys():
        raise InputError(f"data.mixing has no weight for task {name!r}: give each task one")
    for name, weight in mixing.items():
        if name not in tasks:
            raise InputError(f"data.mixing has a weight for {name!r}, which is none of the tasks {', '.join(tasks)}")
        check_number(f"data.mixing.{name}", weight, above=0)
    return dict(mixing)
