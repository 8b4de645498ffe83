"""Sentences of words with a tag each: named entities, slots, parts of speech."""

from __future__ import annotations

import re
from typing import Any, Literal

from lightning_clf.data.base import BaseDataModule
from lightning_clf.data.sources import Source, survey_split
from lightning_clf.data.token_rows import TAG_COLUMNS, TokenRows, resolve_columns, survey_tags
from lightning_clf.errors import InputError
from lightning_clf.labels import Kind, LabelSpace, sort_names
from lightning_clf.schemes import Scheme, entity_types

_LOOKS_LIKE_A_TAG = re.compile(r"O|[BIESLU]-.+")
_BEGINS_LIKE_A_WORD = re.compile(r"[ESLU]-.+")  # E-MAIL, U-BOAT: entity types there may be


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
        **options: What `BaseDataModule` takes.

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
        **options: Any,
    ) -> None:
        super().__init__(source, **options)
        self.tokens_column = None if tokens_column is None else str(tokens_column)
        self.tags_column = None if tags_column is None else str(tags_column)
        self.scheme: Scheme | None = None if scheme == "auto" else scheme
        self.model_scheme: Scheme = model_scheme
        self._tags_found: list[str] | None = None

    @property
    def target_columns(self) -> tuple[str, ...]:
        """As given, else those that are usual."""
        return (self.tags_column,) if self.tags_column is not None else TAG_COLUMNS

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
            tag = _first_tag(declared) if rows.scheme != "none" else None
            if tag is not None:
                raise InputError(
                    f"data.labels has the tag {tag!r}: list the entity types alone, such as PER, or leave it out to "
                    "take those of train"
                )
            return declared
        split = survey_split(self.splits)
        named = split.class_names(rows.tags_column)
        if named is not None:
            return named if rows.scheme == "none" else list(entity_types(named, rows.scheme))
        if self._tags_found is None:
            _, self._tags_found = survey_tags(split, rows.tokens_column, rows.tags_column, rows.scheme)
        return sort_names(self._tags_found if rows.scheme == "none" else entity_types(self._tags_found, rows.scheme))


def _first_tag(names: list[str]) -> str | None:
    """The first of the declared names that is a tag where an entity type is wanted."""
    tags = [name for name in names if _LOOKS_LIKE_A_TAG.fullmatch(name)]
    if len(tags) < len(names):
        tags = [tag for tag in tags if not _BEGINS_LIKE_A_WORD.fullmatch(tag) or tag[2:] in names]
    return next(iter(tags), None)
