"""What every datamodule does: find the splits, prepare them once, and hand out batches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from datasets import Dataset

from lightning_clf.counts import ClassCounts
from lightning_clf.data import cache
from lightning_clf.data.checks import (
    check_fraction,
    check_module_kind,
    check_split,
    check_unlabelled,
    count_labels,
    explain_label,
)
from lightning_clf.data.division import Division
from lightning_clf.data.encoded import Encoding
from lightning_clf.data.learner import FeedingDataModule
from lightning_clf.data.loading import BatchLoader, Beside, EncodedRows, Loading, Place
from lightning_clf.data.position import Position
from lightning_clf.data.prepared import UNLABELLED, PreparedSplits
from lightning_clf.data.readers import Format
from lightning_clf.data.rows import RowFormat, UnknownLabelError
from lightning_clf.data.sampling import Sampling
from lightning_clf.data.shared import raise_shared, shared_fault
from lightning_clf.data.sources import SPLIT_NAMES, Corpus, Names, Source, SourceOptions, one_split, resolve
from lightning_clf.data.split import LabelledSplit, Split
from lightning_clf.errors import InputError, check_number
from lightning_clf.labels import Kind, LabelSpace

R = TypeVar("R", bound=RowFormat)


class BaseDataModule(FeedingDataModule, Generic[R]):
    """Splits of a source, encoded for the model's encoder and batched.

    The label space is known from construction. The tokenizer is that of the module being trained; outside of a Trainer,
    set `datamodule.tokenizer` before `prepare_data` and `setup`. A subclass defines the abstract methods; one for a
    known corpus only declares class attributes.

    Attributes:
        corpora: Data sets this class knows, by the short name a user may give as `source`; the first is the default.
        split_names: What the splits are called in folders and on the hub.
        fallback_format: The format of files whose name does not tell it.
        known_labels: The labels, where the task has the same in every source.
        kind: The kind of label that is read.
        skips_unlabelled: Whether rows without a label are left out, since they are of another task.
        beside: What a module that is fitted puts beside each batch of train, such as a teacher's answers.

    Args:
        source: A folder holding `train`, `dev` (or `validation`, `valid`, `val`) and `test` as `.jsonl`, `.csv`,
            `.tsv`, `.parquet` or `.conll`; a hub id; a mapping of splits to files, or in Python to data sets
            or lists of rows.
        subset: On the hub, the configuration, of data sets that have several.
        revision: On the hub, a branch, tag or commit. `None` is the newest.
        format: The format of the files, for suffixes that do not tell it. `None` goes by the suffix.
        splits: What `train`, `val` and `test` are called in a folder or on the hub, where it is something else.
        labels: The label names in the model's order, for spans the entity types; numbers in the data are then positions
            in it. `None` takes those of the data: the hub's, else train's, sorted.
        max_length: The window in subwords. `None` is a trained model's own, else 128, which holds most sentences. Cost
            grows with it, and what it cuts is reported.
        stride: In place of cutting long texts off, read them in windows, each of which repeats so many subwords of the
            one before; a quarter of the window is usual. `None` is a trained model's own, else cuts.
        max_windows: Of a text so many windows, drawn anew with each batch, go into a training step. `None` is all.
        batch_size: Examples a training step and process. 32 is what fine-tuning recipes start from.
        eval_batch_size: Examples a batch of evaluation. `None` is twice `batch_size`, as no gradients are kept.
        batch_tokens: In place of `batch_size`, subwords a training step and process, padding included: short texts come
            many at a time and long ones few, so that memory is bounded by this and not by the longest text. Evaluation
            takes twice as many, unless `eval_batch_size` is set. `None` counts examples.
        group_by_length: Whether training batches are made of texts of about the same length, so that little is padded.
            Which texts meet still changes every epoch. Off, any texts meet, and steps take longer.
        pad_to_multiple_of: Texts are padded to a multiple of this. `None` is 8 on CUDA, for tensor cores, else 1.
        num_workers: Processes that collate. 0 because rows are encoded beforehand and collation is cheap.
        val_fraction: How much of train becomes the dev split where there is none.
        seed: Which rows of train become the dev split, and with `seed_everything` the order of train.
        drop_duplicates: Whether rows of train that repeat an earlier one, input and label, are left out.
        unlabelled: A file of rows in the columns of train, in Python also a data set or a list, that a teacher alone
            says what is right of (`model.distillation`). They are trained on beside train; a label is not looked for.
        sampling: Which rows an epoch of training sees, and how often: `OverSampling` repeats those of rare labels,
            `UnderSampling` leaves out some of frequent ones. `None` is every row once.
        cache_dir: Where encoded splits are kept. `None` is $LIGHTNING_CLF_CACHE, else ~/.cache/lightning_clf.

    Raises:
        InputError: If an argument is out of range, or the source is not there.
    """

    corpora: ClassVar[Mapping[str, Corpus]] = {}
    split_names: ClassVar[Names] = SPLIT_NAMES
    fallback_format: ClassVar[Format | None] = None
    known_labels: ClassVar[tuple[str, ...] | None] = None

    kind: Kind
    skips_unlabelled: bool = False
    beside: Beside | None = None

    def __init__(
        self,
        source: Source | None = None,
        *,
        subset: str | None = None,
        revision: str | None = None,
        format: Format | None = None,
        splits: dict[str, str] | None = None,
        labels: list[str] | None = None,
        max_length: int | None = None,
        stride: int | None = None,
        max_windows: int | None = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        batch_tokens: int | None = None,
        group_by_length: bool = True,
        pad_to_multiple_of: int | None = None,
        num_workers: int = 0,
        val_fraction: float = 0.1,
        seed: int = 0,
        drop_duplicates: bool = False,
        unlabelled: str | Path | list[dict[str, Any]] | None = None,
        sampling: Sampling | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        super().__init__(max_length, stride)
        lengths = (batch_tokens, group_by_length, pad_to_multiple_of)
        self.seed = check_number("data.seed", seed, least=0, most=2**32 - 1, whole=True)
        self.loading = Loading(batch_size, eval_batch_size, *lengths, num_workers, self.seed, sampling, max_windows)
        self.division = Division(check_fraction("val_fraction", val_fraction), self.seed)
        self.drop_duplicates = drop_duplicates
        self.cache_dir = Path(cache_dir).expanduser() if cache_dir is not None else cache.default_cache_dir()
        self._declared = list(labels) if labels is not None else None
        self._source, self._unlabelled = source, unlabelled
        self._options = SourceOptions(subset, revision, format, splits, self.split_names, self.fallback_format)
        self._prepared: PreparedSplits | None = None
        self._fault: InputError | None = None
        self._position = Position.first(self.seed)

    @property
    @abstractmethod
    def target_columns(self) -> tuple[str, ...]:
        """The columns that a row's label is read from, or may be."""

    @abstractmethod
    def _find_row_format(self) -> R:
        """Which columns to read, with all that was left open by the configuration decided from the data."""

    @abstractmethod
    def _find_labels(self) -> LabelSpace:
        """The label space as declared, as the data declare it, or as train has it."""

    @cached_property
    def splits(self) -> dict[str, Split]:
        """The splits the source has, under `train`, `val` and `test`, not yet read."""
        found = resolve(self._source, self._options, self.corpora)
        columns = self.target_columns if self.skips_unlabelled else None
        read = {name: LabelledSplit(split, columns) if columns else split for name, split in found.items()}
        if self._unlabelled is not None:
            read[UNLABELLED] = one_split(self._unlabelled, UNLABELLED, self._options, "data.unlabelled")
        return read

    @cached_property
    def row_format(self) -> R:
        """How a row becomes an example."""
        return self._find_row_format()

    @cached_property
    def labels(self) -> LabelSpace:
        """The label space: as declared, else that of a trained module, else as the train split has it, read once.

        Raises:
            InputError: If the module is for labels of another kind, or labels cannot be found.
        """
        module = self._module()
        check_module_kind(module, type(self).__name__, self.kind)
        known = getattr(module, "labels", None)
        is_open = self.declared is None and self.kind != "score"  # the range of a score is always declared
        return known if is_open and isinstance(known, LabelSpace) else self._find_labels()

    @property
    def input_columns(self) -> dict[str, str]:
        """The columns read, by role: `text`, `text_pair`, `group` or `tokens`, and `label` if it is no usual name."""
        return self.row_format.inputs()

    @property
    def declared(self) -> list[str] | None:
        """The label names that the configuration or the corpus declares, without looking into the data."""
        return self._declared if self._declared is not None else list(self.known_labels or ()) or None

    def encodings(self) -> dict[str, Encoding]:
        """How the rows of each split are encoded."""
        encoding = Encoding(self.row_format, self.labels, self._tokenizer(), self.max_length, self.stride)
        encodings = dict.fromkeys(self.splits, encoding)
        if self.drop_duplicates and "train" in encodings:  # what is evaluated on stays as it was given
            encodings["train"] = replace(encoding, drop_duplicates=True)
        if UNLABELLED in encodings:
            encodings[UNLABELLED] = replace(encoding, labelled=False)
        return encodings

    def prepare_data(self) -> None:
        """Check and encode every split, unless the cache has it.

        Raises:
            InputError: If a row cannot be used; where other processes wait for this one, `setup` raises it in all.
        """
        self._fault = shared_fault(self._prepare)

    def _prepare(self) -> None:
        if self._unlabelled is not None:
            check_unlabelled(self._module(), self.loading.sampling)
        encodings = self.encodings()
        self.loading.check_labels(self.labels)
        for name, split in self.splits.items():
            try:
                rows, summary = cache.prepare(split, encodings[name], self.cache_dir)
            except UnknownLabelError as error:
                trained = getattr(self._module(), "labels", None)
                raise explain_label(error, type(self), self.labels, trained, self._declared) from error
            check_split(name, split, rows, summary, self.labels)

    def setup(self, stage: str | None = None) -> None:
        """Open what `prepare_data` wrote, and hold out a dev split if there is none.

        Raises:
            InputError: If `prepare_data` met one, in this or another process.
        """
        raise_shared(self._fault)
        self.loading.check_window(self.max_length, self.stride)
        self._position = Position.first(self.seed)  # a checkpoint that is gone on from is read after this
        prepared = PreparedSplits(self.splits, self.encodings(), self.cache_dir)
        self.division.apply(prepared)
        self._prepared = prepared
        prepared.report_lengths()
        if stage == "fit" and "train" in self.splits:
            prepared.report_imbalance(self.class_counts, self.num_train, self._module(), self.loading.sampling)

    def state_dict(self) -> dict[str, Any]:
        """Where training stands, and in which rows."""
        if self.trainer is None:
            return {}
        place = asdict(Position.of(self.trainer, self._position.order)) | {"rows": self._opened.learned}
        return {**place, "sampling": drawn} if (drawn := self.loading.drawn_by) else place

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Begin training where `state_dict` says.

        Raises:
            InputError: If that is amid an epoch whose rows another sampling has drawn, or a fit had other rows.
        """
        if state_dict:
            self._position = Position.kept(state_dict)
            self.loading.check_same_epoch(self._position, state_dict.get("sampling"))
            if self.trainer is not None:
                self._opened.check_learned(state_dict["rows"], self.trainer)

    @property
    def _opened(self) -> PreparedSplits:
        if self._prepared is None:
            raise RuntimeError("the datamodule is not set up: call prepare_data and setup first")
        return self._prepared

    def _rows_of(self, name: str) -> Dataset:
        return self._opened.rows(name)

    @property
    def num_train(self) -> int:
        """How many examples an epoch of training has, over all processes and repeats included. Known after `setup`."""
        return self.loading.epoch_size(self._opened.trained_on(), self.labels)

    @property
    def class_counts(self) -> ClassCounts:
        """How often train has each label. Known after `setup`."""
        return count_labels(self._rows_of("train"), self.labels)

    @property
    def truncated_counts(self) -> dict[str, int]:
        """How many texts (for tags: words) of each split the window cut. Known after `setup`."""
        return {} if self._prepared is None else self._prepared.truncated_counts

    def train_dataloader(self) -> BatchLoader:
        """Shuffled batches of the train split."""
        encoded = self.encoded("train")._replace(rows=self._opened.trained_on(), beside=self.beside)
        return self.loading.train(encoded, Place.of(self.trainer), self._position)

    def val_dataloader(self) -> BatchLoader:
        """Batches of the dev split, each example once."""
        return self.loading.evaluate(self.encoded("val"), Place.of(self.trainer))

    def test_dataloader(self) -> BatchLoader:
        """Batches of the test split, each example once."""
        return self.loading.evaluate(self.encoded("test"), Place.of(self.trainer))

    def encoded(self, name: str) -> EncodedRows:
        """The encoded rows of a split, known after `setup`."""
        return EncodedRows(self._rows_of(name), self._tokenizer(), self.labels, self.max_length)
