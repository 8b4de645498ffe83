"""Texts, or pairs of texts, with a class, several classes or a score."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_clf.data.base import BaseDataModule
from lightning_clf.data.rows import first_row, pick_column
from lightning_clf.data.sources import Source, survey_split
from lightning_clf.data.text_rows import LABEL_COLUMNS, TextKind, TextRows
from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace, sort_names, whole_number

_PAIRED_TEXTS = ("premise", "sentence1", "sentence_A")  # what the other text of a pair is called
PAIR_COLUMNS = ("text_pair", "hypothesis", "sentence2", "sentence_B")


class SequenceDataModule(BaseDataModule[TextRows]):
    """Texts, or pairs of texts, with one label, several labels or a score.

    Attributes:
        kinds: The kinds of label this class reads; the first is the default.
        text_columns: What the column of texts is usually called.
        pair_columns: What the column of second texts is usually called; empty where a task is on single texts.
        ignore_case: Whether labels are told apart by letters alone.

    Args:
        source: A folder holding `train`, `dev` (or `validation`, `valid`, `val`) and `test` as `.jsonl`, `.csv`,
            `.tsv` or `.parquet`; a hub id; a mapping of splits to files, or in Python to data sets or lists of rows.
        kind: `single`, `multi` or `score`. `None` is `single`, for classes that know their task the kind of it.
        text_column: The column of texts. `None` is `text`, or `sentence`, as the hub has it; in pairs also `sentence1`,
            `sentence_A` or `premise`.
        text_pair_column: The column of second texts. `None` reads single texts, and says so where there is a second;
            but for `score`, which takes pairs where there are some: `text_pair`, `sentence2`, `sentence_B`.
        label_column: The column of labels. `None` is `label`, for `multi` `labels`, for `score` `score`.
        label_columns: For `multi`, one column a label holding 0 or 1, as tables have them. `None` reads `label_column`.
        label_separator: For `multi`, what stands between labels in a cell of a CSV file, such as `|`.
        symmetric_pairs: Whether what is said of a pair does not depend on its order. A training step then sees a pair
            in one of both orders, drawn anew with each batch (with `max_windows` 2 in both); an answer is made of the
            mean of both orders' scores, in evaluation and in every prediction, at twice the cost.
        group_column: For two labels, the column whose value the candidates for one question share, such as that of the
            question. They are then also ranked by the probability of the second label, which a fit names: `map` and
            `mrr`. Where `labels` are not given, it is the second in alphabetical order.
        score_range: For `score`, the lowest and the highest value. It has no default, since the data show it only by
            luck, and answers are held within it.
        **options: What `BaseDataModule` takes.

    Raises:
        InputError: If an argument is out of range, or the source is not there.
    """

    kinds: ClassVar[tuple[TextKind, ...]] = ("single", "multi", "score")
    text_columns: ClassVar[tuple[str, ...]] = ("text", "sentence")
    pair_columns: ClassVar[tuple[str, ...]] = ()
    ignore_case: ClassVar[bool] = False

    def __init__(
        self,
        source: Source | None = None,
        *,
        kind: TextKind | None = None,
        text_column: str | None = None,
        text_pair_column: str | None = None,
        label_column: str | None = None,
        label_columns: list[str] | None = None,
        label_separator: str | None = None,
        score_range: tuple[float, float] | None = None,
        symmetric_pairs: bool = False,
        group_column: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(source, **options)
        self.kind: TextKind = kind or self.kinds[0]
        self.text_column = text_column
        self.text_pair_column = text_pair_column
        self.label_column = label_column
        self.label_columns = tuple(label_columns or ())
        self.label_separator = label_separator
        self.score_range = score_range
        self.symmetric_pairs = symmetric_pairs
        self.group_column = group_column
        if symmetric_pairs:
            self.loading = replace(self.loading, max_windows=self.loading.max_windows or 1, both_orders=True)
        self._check_arguments()

    @property
    def declared(self) -> list[str] | None:
        """The label names that the configuration or the corpus declares; columns of labels are named after them."""
        return super().declared or list(self.label_columns) or None

    def _check_arguments(self) -> None:
        if self.kind not in self.kinds:
            raise InputError(f"{type(self).__name__} has no kind {self.kind!r}: use {' or '.join(self.kinds)}")
        if (self.kind == "score") != (self.score_range is not None):
            raise InputError(
                "data.kind: score needs data.score_range: set it to the lowest and highest score, such as [1.0, 5.0]"
                if self.kind == "score"
                else f"data.score_range is for kind: score, but data.kind is {self.kind}: remove one of them"
            )
        if self.kind == "score" and self._declared is not None:
            raise InputError("data.labels names classes, but data.kind is score: remove one of them")
        if self.label_separator == "":
            raise InputError("data.label_separator is empty: set it to what stands between labels, such as |")
        if self.group_column and self.kind != "single":
            raise InputError(
                f"data.group_column ranks by one of two labels, and data.kind is {self.kind}: leave it out"
            )
        for key in ("label_columns", "label_separator"):
            if getattr(self, key) and self.kind != "multi":
                raise InputError(f"data.{key} is for kind: multi, but data.kind is {self.kind}: remove one of them")
        if self.label_columns and (self.label_column or self.label_separator):
            raise InputError("data.label_columns replaces data.label_column and data.label_separator: keep one of them")
        if self.label_columns and self.declared and sorted(self.label_columns) != sorted(self.declared):
            raise InputError("data.labels and data.label_columns name different labels: remove data.labels")

    def setup(self, stage: str | None = None) -> None:
        """Open what `prepare_data` wrote, and say by which label a fit ranks."""
        super().setup(stage)
        if stage == "fit" and self.group_column and len(self.labels) == 2:
            other, ranking = self.labels.names
            rank_zero_info(
                f"rows of one {self.group_column!r} are ranked by the probability of label {ranking!r} (map, mrr): to "
                f"rank by {other!r}, set data.labels to {[ranking, other]}"
            )

    @property
    def target_columns(self) -> tuple[str, ...]:
        """As given, else those that are usual for the kind."""
        return self.label_columns or ((self.label_column,) if self.label_column else LABEL_COLUMNS[self.kind])

    def _find_row_format(self) -> TextRows:
        split = next(iter(self.splits.values()))  # train, if there is one
        row = first_row(split)
        label = None
        if not self.label_columns:
            label = pick_column("label_column", self.label_column, LABEL_COLUMNS[self.kind], row, split)
        pair = None
        found = next((column for column in PAIR_COLUMNS if column in row), None)
        if self.text_pair_column is not None or self.pair_columns:
            pair = pick_column("text_pair_column", self.text_pair_column, self.pair_columns, row, split)
        elif self.kind == "score":
            pair = found  # a score is most often of a pair
        elif found is not None:
            rank_zero_warn(
                f"{split.name} has a column {found!r} that is not read: set data.text_pair_column to read pairs"
            )
        texts = (*self.text_columns, *(_PAIRED_TEXTS if pair else ()))
        text = pick_column("text_column", self.text_column, texts, row, split)
        self._check_columns(label, {"text_column": text, "text_pair_column": pair})
        return TextRows(
            kind=self.kind,
            text_column=text,
            text_pair_column=pair,
            label_column=label,
            label_columns=self.label_columns,
            label_separator=self.label_separator,
            declared=tuple(self.declared or ()),
            ignore_case=self.ignore_case,
            score_range=self.score_range,
            symmetric=self.symmetric_pairs,
            group_column=self.group_column,
        )

    def _check_columns(self, label: str | None, read: dict[str, str | None]) -> None:
        key = "label_columns" if label is None else "label_column"
        for name, column in read.items():
            if column is not None and column in (label, *self.label_columns):
                raise InputError(
                    f"data.{name} and data.{key} both name the column {column!r}, so that the text would be its own "
                    f"label: set data.{key} to where the labels are"
                )

    def _find_labels(self) -> LabelSpace:
        if self.kind == "score" and self.score_range is not None:
            return LabelSpace.score(*self.score_range)
        labels = LabelSpace.of(self._names(), "multi" if self.kind == "multi" else "single")
        if self.group_column and len(labels) != 2:
            raise InputError(
                f"data.group_column ranks by the second of two labels, and there are {len(labels)} ({labels.shown}): "
                "leave it out"
            )
        return labels

    def _names(self) -> list[str]:
        if self.declared is not None:
            return self.declared
        split, rows = survey_split(self.splits), self.row_format
        named = split.class_names(rows.label_column or "")
        if named is not None:
            return named
        names: set[str] = set()
        for number, row in split.rows():
            label = rows.parse(row, split.where(number)).label
            names.update([label] if isinstance(label, str) else label or ())
        # tables with an empty cell hold 1.0 where others hold 1, and a CSV file does not say that it meant a number: so
        # where every label is whole, the class is 1 in every format, and where one is 1.1 or v1.0, all stay as written
        whole = {digits for name in names if (digits := whole_number(name))}
        return sort_names(whole if all(map(whole_number, names)) else names)
