"""Texts and words to subword ids: plain functions over lists, so that they can be cached, mapped and pickled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning_clf.encoding.tokenizer import Tokenizer
from lightning_clf.errors import InputError

Columns = dict[str, list[Any]]


def encode_texts(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    max_length: int,
    stride: int | None = None,
    *,
    symmetric: bool = False,
) -> Columns:
    """Encode texts, or pairs of texts, for an encoder.

    Args:
        tokenizer: The encoder's tokenizer.
        texts: The first texts. An empty one becomes its special tokens alone.
        pairs: The second texts, one for each first, or `None`.
        max_length: The window, in subwords with special tokens. The longer of a pair is shortened first.
        stride: In place of cutting a text off, read it in windows of which each repeats so many subwords of the one
            before.
        symmetric: Whether each pair is read in both orders, which are windows of it.

    Returns:
        Columns of one entry a text: `input_ids`, `token_type_ids` where the architecture has them, and `truncated`, 1
        where the window cut something off. With a stride the windows of a text stand one after another, and `windows`
        says how long each is.

    Raises:
        InputError: If the window has no room for anything but special tokens, or what the next one repeats; or pairs
            are to be read in windows.
    """
    _check_room(tokenizer, max_length, pair=pairs is not None)
    if symmetric:
        if pairs is None:
            raise InputError("data.symmetric_pairs reads pairs in both orders, but these are single texts: remove it")
        orders = ((texts, pairs), (pairs, texts))
        return _both(*(encode_texts(tokenizer, first, second, max_length, stride) for first, second in orders))
    if stride is not None:
        if pairs is not None:
            raise InputError("data.stride reads single texts in windows, and these are pairs: leave it out")
        return _join(tokenizer, _windows(tokenizer, texts, max_length, stride))
    arguments: list[list[str]] = [list(texts)] + ([list(pairs)] if pairs is not None else [])
    encoded = tokenizer(*arguments, truncation=True, max_length=max_length, return_attention_mask=False)
    columns = _columns(tokenizer, encoded)
    if tokenizer.is_fast:
        columns["truncated"] = [int(bool(encoding.overflowing)) for encoding in encoded.encodings]
    else:
        whole = tokenizer(*arguments, truncation=False, return_attention_mask=False, verbose=False)["input_ids"]
        columns["truncated"] = [int(len(ids) > max_length) for ids in whole]
    return columns


def encode_words(
    tokenizer: Tokenizer, sentences: Sequence[Sequence[str]], max_length: int, stride: int | None = None
) -> Columns:
    """Encode pre-split sentences for a tagger.

    Args:
        tokenizer: A fast tokenizer, loaded with `words=True`.
        sentences: The words of each sentence. A sentence may be empty, and a word may be any string.
        max_length: The window, in subwords with special tokens.
        stride: As for `encode_texts`.

    Returns:
        Columns of one entry a sentence: `input_ids`, `token_type_ids` where the architecture has them, `word_ids` (the
        word each subword came from, −1 for special tokens), `word_count`, and `truncated`, the number of words of
        which the window holds no subword though the tokenizer gives them one. With a stride also `windows`; each word
        then belongs to one window alone, that which holds most of its surroundings, and its subwords in others to none.

    Raises:
        InputError: If the window has no room for anything but special tokens, or what the next one repeats.
    """
    _check_room(tokenizer, max_length, pair=False)
    if stride is not None:
        found = _windows(tokenizer, [list(words) for words in sentences], max_length, stride)
        columns = _join(tokenizer, found)
        columns["word_ids"] = [_owned_words(windows) for windows in found]
        columns["word_count"] = [len(words) for words in sentences]
        return columns
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


def _windows(tokenizer: Tokenizer, texts: Sequence[Any], max_length: int, stride: int) -> list[list[Any]]:
    """The encodings of each text's windows, by a fast tokenizer."""
    if not tokenizer.is_fast:
        raise InputError(
            f"{type(tokenizer).__name__} is slow-only and makes no windows: leave data.stride out, or choose an "
            "encoder with a fast tokenizer"
        )
    room = max_length - tokenizer.num_special_tokens_to_add(False)
    if stride >= room:
        raise InputError(
            f"data.stride {stride} repeats all of the {room} subwords that a window of data.max_length {max_length} "
            "has room for: lower it, a quarter of the window being usual"
        )
    encoded = tokenizer(
        list(texts),
        is_split_into_words=bool(texts) and not isinstance(texts[0], str),
        truncation=True,
        max_length=max_length,
        stride=stride,
        return_attention_mask=False,
    )
    return [[encoding, *encoding.overflowing] for encoding in encoded.encodings]


def _join(tokenizer: Tokenizer, texts: list[list[Any]]) -> Columns:
    """The columns of texts whose windows stand one after another."""
    ids: dict[str, list[Any]] = {"input_ids": [[token for window in text for token in window.ids] for text in texts]}
    if "token_type_ids" in tokenizer.model_input_names:
        ids["token_type_ids"] = [[kind for window in text for kind in window.type_ids] for text in texts]
    columns = _columns(tokenizer, ids)
    columns["windows"] = [[max(1, len(window.ids)) for window in text] for text in texts]
    columns["truncated"] = [0] * len(texts)
    return columns


def _both(first: Columns, other: Columns) -> Columns:
    """The columns of pairs whose two orders stand one after the other."""
    columns = {name: [a + b for a, b in zip(values, other[name], strict=True)] for name, values in first.items()
               if name != "truncated"}  # fmt: skip
    lengths = zip(first["input_ids"], other["input_ids"], strict=True)
    columns["windows"] = [[len(a), len(b)] for a, b in lengths]
    columns["truncated"] = list(map(max, first["truncated"], other["truncated"]))
    return columns


def _owned_words(windows: list[Any]) -> list[int]:
    """The word of each subword in a sentence's windows, where it is the window's to score, else −1."""
    spans: dict[int, list[tuple[int, int, int]]] = {}  # of a word in each window: which, its first subword, its last
    for number, window in enumerate(windows):
        for position, word in enumerate(window.word_ids):
            if word is None:
                continue
            places = spans.setdefault(word, [])
            first = places[-1][1] if places and places[-1][0] == number else position
            places[len(places) - (bool(places) and places[-1][0] == number) :] = [(number, first, position)]
    last = len(windows) - 1

    def surroundings(span: tuple[int, int, int]) -> tuple[int, float]:
        number, first, end = span
        before = float("inf") if number == 0 else first
        after = float("inf") if number == last else len(windows[number].ids) - 1 - end
        return end - first, min(before, after)  # a word that a window cuts in two belongs where it is whole

    owner = {word: max(places, key=surroundings)[0] for word, places in spans.items()}
    owned = [
        word if word is not None and owner[word] == number else -1
        for number, window in enumerate(windows)
        for word in window.word_ids
    ]
    return owned or [-1]


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
