"""Sentences of words with a tag each: named entities, slots, parts of speech."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from lightning_clf.data.base import BaseDataModule
from lightning_clf.data.readers import Format
from lightning_clf.data.sources import Source
from lightning_clf.data.token_rows import TokenRows, resolve_columns, survey_tags
from lightning_clf.errors import InputError
from lightning_clf.labels import Kind, LabelSpace, sort_names
from lightning_clf.schemes import Scheme, entity_types

_LOOKS_LIKE_A_TAG = re.compile(r"O|[BIESLU]-.+")


class TokenDataModule(BaseDataModule[TokenRows]):
    """Sentences of words with a tag each.

    Args:
        source: A folder holding `train`, `dev` (or `validation`, `valid`, `val`) and `test` as `.jsonl`, `.parquet` or
            `.conll`; a hub id; a mapping of splits to files, or in Python to data sets or lists of rows.
        tokens_column: The column of words, or in a CoNLL file its number. `None` is `tokens`, in a CoNLL file column 1.
        tags_column: The column of tags, or in a CoNLL file its number, counted from 1. `None` is `tags` (on the hub
            also `ner_tags`), in a CoNLL file the last column, which holds the entities wherever such files are shared.
        scheme: How the data write spans. `auto` finds out, and `none` is for tags that are not spans.
        model_scheme: How the model writes them. IOB2 has the fewest tags that mark every boundary.
        subset: On the hub, the configuration, of data sets that have several.
        revision: On the hub, a branch, tag or commit. `None` is the newest.
        format: The format of the files, for suffixes that do not tell it. `None` goes by the suffix.
        splits: What `train`, `val` and `test` are called in a folder or on the hub, where it is something else.
        labels: The entity types (with scheme `none`: the tags) in the model's order. `None` takes those of the data:
            the hub's, else train's, sorted.
        max_length: The window in subwords. `None` is a trained model's own, else 128, which holds most sentences. Cost
            grows with it, and what it cuts is reported.
        batch_size: Sentences a training step and process. 32 is what fine-tuning recipes start from.
        eval_batch_size: Sentences a batch of evaluation. `None` is twice `batch_size`, as no gradients are kept.
        group_by_length: Whether training batches are made of texts of about the same length, so that little is padded.
            Which texts meet still changes every epoch. Off, any texts meet, and steps take longer.
        num_workers: Processes that collate. 0 because rows are encoded beforehand and collation is cheap.
        val_fraction: How much of train becomes the dev split where there is none.
        seed: Which rows of train become the dev split, and with `seed_everything` the order of train.
        drop_duplicates: Whether rows of train that repeat an earlier one, words and tags, are left out.
        cache_dir: Where encoded splits are kept. `None` is $LIGHTNING_CLF_CACHE, else ~/.cache/lightning_clf.

    Raises:
        InputError: If an argument is out of range, or the source is not there.
    """

    kind: Kind = "tags"

    def __init__(
        self,
        source: Source | None = None,
        *,
        tokens_column: str | int | None = None,
        tags_column: str | int | None = None,
        scheme: Literal["auto", "IOB1", "IOB2", "BIOES", "none"] = "auto",
        model_scheme: Literal["IOB2", "BIOES"] = "IOB2",
        subset: str | None = None,
        revision: str | None = None,
        format: Format | None = None,
        splits: dict[str, str] | None = None,
        labels: list[str] | None = None,
        max_length: int | None = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        group_by_length: bool = True,
        num_workers: int = 0,
        val_fraction: float = 0.1,
        seed: int = 0,
        drop_duplicates: bool = False,
        cache_dir: str | Path | None = None,
    ) -> None:
        super().__init__(
            source,
            subset=subset,
            revision=revision,
            format=format,
            splits=splits,
            labels=labels,
            max_length=max_length,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            group_by_length=group_by_length,
            num_workers=num_workers,
            val_fraction=val_fraction,
            seed=seed,
            drop_duplicates=drop_duplicates,
            cache_dir=cache_dir,
        )
        self.tokens_column = None if tokens_column is None else str(tokens_column)
        self.tags_column = None if tags_column is None else str(tags_column)
        self.scheme: Scheme | None = None if scheme == "auto" else scheme
        self.model_scheme: Scheme = model_scheme
        self._tags_found: list[str] | None = None

    def _find_row_format(self) -> TokenRows:
        split = next(iter(self.splits.values()))  # train, if there is one
        tokens, tags = resolve_columns(split, self.tokens_column, self.tags_column)
        scheme = self.scheme
        if scheme is None:
            scheme, self._tags_found = survey_tags(split, tokens, tags, None)
        return TokenRows(tokens, tags, scheme)

    def _find_labels(self) -> LabelSpace:
        return LabelSpace.tags(self._types(), "none" if self.row_format.scheme == "none" else self.model_scheme)

    def _types(self) -> list[str]:
        rows, declared = self.row_format, self.declared
        if declared is not None:
            if declared and rows.scheme != "none" and all(map(_LOOKS_LIKE_A_TAG.fullmatch, declared)):
                raise InputError(f"data.labels has the tag {declared[0]!r}: list the entity types alone, such as PER")
            return declared
        split = self._survey_split()
        named = split.class_names(rows.tags_column)
        if named is not None:
            return named if rows.scheme == "none" else list(entity_types(named, rows.scheme))
        if self._tags_found is None:
            _, self._tags_found = survey_tags(split, rows.tokens_column, rows.tags_column, rows.scheme)
        return sort_names(self._tags_found if rows.scheme == "none" else entity_types(self._tags_found, rows.scheme))
