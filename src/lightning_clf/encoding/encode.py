"""Texts and words to subword ids: plain functions over lists, so that they can be cached, mapped and pickled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning_clf.encoding.tokenizer import Tokenizer
from lightning_clf.errors import InputError

Columns = dict[str, list[Any]]


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int) -> Columns:
    """Encode texts, or pairs of texts, for an encoder.

    Args:
        tokenizer: The encoder's tokenizer.
        texts: The first texts. An empty one becomes its special tokens alone.
        pairs: The second texts, one for each first, or `None`.
        max_length: The window, in subwords with special tokens. The longer of a pair is shortened first.

    Returns:
        Columns of one entry a text: `input_ids`, `token_type_ids` where the architecture has them, and `truncated`, 1
        where the window cut something off.

    Raises:
        InputError: If the window has no room for anything but special tokens.
    """
    _check_room(tokenizer, max_length, pair=pairs is not None)
    arguments: list[list[str]] = [list(texts)] + ([list(pairs)] if pairs is not None else [])
    encoded = tokenizer(*arguments, truncation=True, max_length=max_length, return_attention_mask=False)
    columns = _columns(tokenizer, encoded)
    if tokenizer.is_fast:
        columns["truncated"] = [int(bool(encoding.overflowing)) for encoding in encoded.encodings]
    else:
        whole = tokenizer(*arguments, truncation=False, return_attention_mask=False, verbose=False)["input_ids"]
        columns["truncated"] = [int(len(ids) > max_length) for ids in whole]
    return columns


def encode_words(tokenizer: Tokenizer, sentences: Sequence[Sequence[str]], max_length: int) -> Columns:
    """Encode pre-split sentences for a tagger.

    Args:
        tokenizer: A fast tokenizer, loaded with `words=True`.
        sentences: The words of each sentence. A sentence may be empty, and a word may be any string.
        max_length: The window, in subwords with special tokens.

    Returns:
        Columns of one entry a sentence: `input_ids`, `token_type_ids` where the architecture has them, `word_ids` (the
        word each subword came from, −1 for special tokens), `word_count`, and `truncated`, the number of words of
        which the window holds no subword though the tokenizer gives them one.

    Raises:
        InputError: If the window has no room for anything but special tokens.
    """
    _check_room(tokenizer, max_length, pair=False)
    encoded = tokenizer(
        [list(words) for words in sentences],
        is_split_into_words=True,
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
    )
    columns = _columns(tokenizer, encoded)
    columns["word_ids"] = [
        [-1 if word is None else word for word in encoding.word_ids] or [-1] for encoding in encoded.encodings
    ]
    columns["word_count"] = [len(words) for words in sentences]
    columns["truncated"] = [_lost_words(encoding) for encoding in encoded.encodings]
    return columns


def _check_room(tokenizer: Tokenizer, max_length: int, *, pair: bool) -> None:
    """Refuse a window that the tokenizer would silently not keep to."""
    special = tokenizer.num_special_tokens_to_add(pair)
    if max_length <= special:
        raise InputError(
            f"max_length {max_length} leaves no room beside the {special} special tokens that "
            f"{type(tokenizer).__name__} adds: raise data.max_length"
        )


def _columns(tokenizer: Tokenizer, encoded: Any) -> Columns:
    columns = {"input_ids": encoded["input_ids"]}
    if "token_type_ids" in tokenizer.model_input_names:
        columns["token_type_ids"] = encoded["token_type_ids"]
    if not all(columns["input_ids"]):
        # a decoder's tokenizer adds no special tokens, and attention over nothing at all is not a number
        for values, stand_in in zip(columns.values(), (_stand_in(tokenizer), 0), strict=False):
            for row in values:
                row.extend([] if row else [stand_in])
    return columns


def _stand_in(tokenizer: Tokenizer) -> int:
    ids: tuple[int | None, ...] = (tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id)
    return next(token for token in ids if token is not None)


def _lost_words(encoding: Any) -> int:
    if not encoding.overflowing:
        return 0
    beyond = {word for window in encoding.overflowing for word in window.word_ids}
    return len(beyond - set(encoding.word_ids) - {None})
