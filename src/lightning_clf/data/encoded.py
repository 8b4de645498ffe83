"""Rows to encoded rows: checked, tokenised and counted, batch by batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import pyarrow as pa

from lightning_clf.data.rows import Example, RowFormat
from lightning_clf.data.split import Split
from lightning_clf.encoding import Tokenizer
from lightning_clf.labels import Kind, LabelSpace

_VERSION = 3  # of the encoded rows; raised when the same input is to be encoded differently
_BATCH = 1000  # rows tokenised at a time
UNLABELLED_FROM = 2**40
"""What the ids of rows count from that are read without their labels: they stand beside those of train."""

_TARGETS: dict[Kind, pa.DataType] = {
    "single": pa.int32(),
    "multi": pa.list_(pa.int32()),
    "tags": pa.list_(pa.int32()),
    "score": pa.float64(),
}
_COLUMNS: dict[str, pa.DataType] = {
    "input_ids": pa.list_(pa.int32()),
    "token_type_ids": pa.list_(pa.int8()),
    "windows": pa.list_(pa.int32()),
    "word_ids": pa.list_(pa.int32()),
    "word_count": pa.int32(),
    "truncated": pa.int32(),
    "example_id": pa.int64(),
    "group": pa.int64(),
}


@dataclass
class Summary:
    """What was met while a split was encoded.

    Attributes:
        rows: How many rows were kept.
        unlabelled: How many were dropped because they have no label.
        empty: How many have nothing to read. They are kept.
        duplicates: How many were dropped because they repeat an earlier one.
        digest: What tells whether other rows are the kept ones, in the same order.
    """

    rows: int = 0
    unlabelled: int = 0
    empty: int = 0
    duplicates: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Encoding:
    """All that decides how a row is encoded.

    Attributes:
        rows: Which columns are read, and how.
        labels: What the targets count.
        tokenizer: The encoder's tokenizer.
        max_length: The window, in subwords.
        stride: How many subwords each window of a text repeats of the one before; `None` cuts texts off.
        drop_duplicates: Whether rows that repeat an earlier one are left out.
        labelled: Whether rows are read with their labels; else none has a target, and labels are not looked for.
    """

    rows: RowFormat
    labels: LabelSpace
    tokenizer: Tokenizer
    max_length: int
    stride: int | None = None
    drop_duplicates: bool = False
    labelled: bool = True

    def key(self, split: Split) -> str:
        """A digest that differs whenever the encoded rows could."""
        return _digest({"options": self._digest, "split": split.fingerprint()})

    @cached_property
    def _digest(self) -> str:
        return _digest(
            {
                "version": _VERSION,
                "tokenizer": fingerprint(self.tokenizer),
                "max_length": self.max_length,
                "stride": self.stride,
                "labels": self.labels.to_dict(),
                "rows": self.rows.to_dict(),
                "drop_duplicates": self.drop_duplicates,
                "labelled": self.labelled,
            }
        )


def fingerprint(tokenizer: Tokenizer) -> str:
    """A digest of all that decides what a tokenizer returns."""
    state: dict[str, Any] = {
        "class": type(tokenizer).__name__,
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "inputs": list(tokenizer.model_input_names),
        "sides": [tokenizer.padding_side, tokenizer.truncation_side],
    }
    if tokenizer.is_fast:
        backend = json.loads(tokenizer.backend_tokenizer.to_str())
        # these two are what the last call left behind, not what the tokenizer is
        state["backend"] = {key: value for key, value in backend.items() if key not in ("truncation", "padding")}
    else:
        state["vocabulary"] = tokenizer.get_vocab()
    return _digest(state)


def _digest(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def encode_split(split: Split, encoding: Encoding, summary: Summary) -> Iterator[pa.Table]:
    """Check and encode a split.

    Args:
        split: The rows.
        encoding: How to encode them.
        summary: Filled in passing.

    Yields:
        Tables of encoded rows; at least one, which may have no rows.

    Raises:
        InputError: If a row cannot be used; it says which and why.
    """
    examples = kept_examples(split, encoding, summary)
    batch = list(islice(examples, _BATCH))
    groups: dict[str | None, int] = {}
    while True:
        yield _encode_batch(batch, encoding, groups)
        batch = list(islice(examples, _BATCH))
        if not batch:
            return


def content_digest(value: Any) -> bytes:
    """What tells texts, lists of texts and numbers apart: 16 bytes in place of texts that memory may not hold."""
    return hashlib.blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def kept_examples(split: Split, encoding: Encoding, summary: Summary) -> Iterator[tuple[int, Example]]:
    """The rows of a split that are encoded, checked, each with its id. Arguments are those of `encode_split`."""
    seen: set[bytes] = set()
    parse, first = (encoding.rows.parse, 0) if encoding.labelled else (encoding.rows.read, UNLABELLED_FROM)
    for position, (number, row) in enumerate(split.rows(), first):
        example = parse(row, split.where(number))
        if encoding.labelled and example.label is None:
            summary.unlabelled += 1
            continue
        if encoding.drop_duplicates:
            digest = content_digest((example.text, example.pair, example.label))
            if digest in seen:
                summary.duplicates += 1
                continue
            seen.add(digest)
        summary.rows += 1
        summary.empty += example.is_empty
        content = (example.text, example.pair, example.label, example.group)
        summary.digest = content_digest((summary.digest, content)).hex()
        yield position, example


def _encode_batch(batch: list[tuple[int, Example]], encoding: Encoding, groups: dict[str | None, int]) -> pa.Table:
    examples = [example for _, example in batch]
    # an empty batch still has to have the columns
    columns: dict[str, list[Any]] = {"input_ids": []}
    if examples:
        columns = encoding.rows.encode(encoding.tokenizer, examples, encoding.max_length, encoding.stride)
    target = encoding.rows.target
    columns["target"] = [target(item, encoding.labels) if encoding.labelled else None for item in examples]
    columns["example_id"] = [position for position, _ in batch]
    if encoding.rows.group_column is not None:  # numbered as they are met
        columns["group"] = [groups.setdefault(example.group, len(groups)) for example in examples]
    types = _COLUMNS | {"target": _TARGETS[encoding.labels.kind]}
    return pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
