"""Words and texts to subwords: who owns which, and what the window cuts off, over any unicode."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from transformers import ByT5Tokenizer

from lightning_clf.encoding import Tokenizer, encode_texts, encode_words, load_tokenizer
from lightning_clf.errors import InputError
from tests.texts import AWKWARD, repeatable, sentences

Taggers = Callable[[str], Tokenizer]
Backends = Callable[[str], Backend]

# WordPiece, byte-level BPE with a class of its own and without, without special tokens, Unigram
architectures = pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "qwen3", "xlm-roberta"])


@pytest.fixture(scope="session")
def readers(encoders: Callable[[str], Path]) -> Callable[[str], Tokenizer]:
    """Tokenizers for texts by architecture, each loaded once."""
    return cache(lambda architecture: load_tokenizer(str(encoders(architecture))))


@architectures
@repeatable
@given(sentences)
def test_each_word_has_exactly_its_own_subwords(
    taggers: Taggers, backends: Backends, architecture: str, batch: list[list[str]]
) -> None:
    backend = backends(architecture)
    columns = encode_words(taggers(architecture), batch, max_length=4096)
    assert columns["word_count"] == [len(words) for words in batch]
    assert columns["truncated"] == [0] * len(batch)
    for words, ids, word_ids in zip(batch, columns["input_ids"], columns["word_ids"], strict=True):
        assert len(ids) == len(word_ids)
        inside = [word for word in word_ids if word != -1]
        assert inside == sorted(inside)
        for index, word in enumerate(words):
            own = [token for token, owner in zip(ids, word_ids, strict=True) if owner == index]
            # a word alone, read by the Rust tokenizer: nothing where it has no subword
            assert own == backend.encode([word], is_pretokenized=True, add_special_tokens=False).ids
        assert all(word < len(words) for word in inside)


def lost_words(backend: Backend, words: list[str], kept: list[int]) -> int:
    """How many words have subwords, but none among those kept."""
    whole = backend.encode(words, is_pretokenized=True)
    return len(set(whole.word_ids) - {None} - set(kept))


@architectures
@repeatable
@given(sentences, st.integers(3, 30))
def test_the_window_is_exact_and_counts_the_words_it_loses(
    taggers: Taggers, backends: Backends, architecture: str, batch: list[list[str]], max_length: int
) -> None:
    backend = backends(architecture)
    columns = encode_words(taggers(architecture), batch, max_length)
    rows = zip(batch, columns["input_ids"], columns["word_ids"], columns["truncated"], strict=True)
    for words, ids, word_ids, truncated in rows:
        whole = backend.encode(words, is_pretokenized=True)
        assert len(ids) == max(1, min(max_length, len(whole.ids)))
        assert truncated == lost_words(backend, words, word_ids)
        kept = [(token, word) for token, word in zip(ids, word_ids, strict=True) if word != -1]
        all_of_them = [(token, word) for token, word in zip(whole.ids, whole.word_ids, strict=True) if word is not None]
        assert kept == all_of_them[: len(kept)]


@architectures
def test_sentences_of_two_thousand_words(taggers: Taggers, backends: Backends, architecture: str) -> None:
    pool = [*AWKWARD, "Anna", "moved", "from", "Paris"]
    generator = random.Random(0)
    long = [generator.choice(pool) for _ in range(2000)]
    columns = encode_words(taggers(architecture), [long, ["Anna"] * 2000, []], max_length=512)
    assert columns["word_count"] == [2000, 2000, 0]
    assert [len(ids) <= 512 for ids in columns["input_ids"]] == [True] * 3
    assert columns["truncated"][0] == lost_words(backends(architecture), long, columns["word_ids"][0])
    seen = {word for word in columns["word_ids"][1] if word != -1}
    assert columns["truncated"][1] == 2000 - len(seen) > 1000
    assert seen == set(range(len(seen)))
    assert columns["truncated"][2] == 0


def test_sentences_and_words_of_nothing(taggers: Taggers) -> None:
    columns = encode_words(taggers("bert"), [[], ["\ufe0f", ""], ["Anna"]], max_length=8)
    cls, sep = columns["input_ids"][0]
    assert columns["input_ids"][:2] == [[cls, sep], [cls, sep]]
    assert columns["word_ids"] == [[-1, -1], [-1, -1], [-1, 0, -1]]
    assert columns["token_type_ids"] == [[0, 0], [0, 0], [0, 0, 0]]
    assert (columns["word_count"], columns["truncated"]) == ([0, 2, 1], [0, 0, 0])


def test_nothing_is_one_token_where_there_are_no_special_ones(taggers: Taggers, readers: Taggers) -> None:
    decoder = readers("qwen3")
    one, end = decoder.convert_tokens_to_ids("a"), decoder.eos_token_id
    assert encode_texts(decoder, ["", "a", ""], None, 8)["input_ids"] == [[end], [one], [end]]
    columns = encode_words(taggers("qwen3"), [[], ["", ""]], max_length=8)
    assert columns["input_ids"] == [[end], [end]]
    assert columns["word_ids"] == [[-1], [-1]]


texts = st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=4)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "qwen3", "deberta-v2"])
@pytest.mark.parametrize("paired", [False, True])
@repeatable
@given(texts, st.integers(5, 40))
def test_texts_fill_the_window_and_no_more(
    readers: Taggers, architecture: str, paired: bool, rows: list[tuple[str, str]], max_length: int
) -> None:
    tokenizer = readers(architecture)
    pairs = [second for _, second in rows] if paired else None
    columns = encode_texts(tokenizer, [first for first, _ in rows], pairs, max_length)
    assert ("token_type_ids" in columns) == ("token_type_ids" in tokenizer.model_input_names)
    for index, row in enumerate(rows):
        alone = tokenizer(
            *([text] for text in row[: 1 + paired])
        )  # as a list: one pair with an empty second is no pair
        whole = {name: value[0] for name, value in alone.items()}
        assert len(columns["input_ids"][index]) == max(1, min(max_length, len(whole["input_ids"])))
        assert columns["truncated"][index] == (len(whole["input_ids"]) > max_length)
        if 0 < len(whole["input_ids"]) <= max_length:
            for name in columns.keys() - {"truncated"}:
                assert columns[name][index] == whole[name]


def test_the_longer_of_a_pair_is_shortened_first(readers: Taggers) -> None:
    tokenizer = readers("bert")
    columns = encode_texts(tokenizer, ["a a a a a a a a", "a"], ["the the", "the the the the the"], 8)
    a, the = tokenizer.convert_tokens_to_ids(["a", "the"])
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    assert columns["input_ids"] == [[cls, a, a, a, sep, the, the, sep], [cls, a, sep, the, the, the, the, sep]]
    assert columns["token_type_ids"] == [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1]]
    assert columns["truncated"] == [1, 1]


@pytest.mark.parametrize(
    ("encode", "special"),
    [
        (lambda tokenizer, window: encode_texts(tokenizer, ["a"], None, window), 2),
        (lambda tokenizer, window: encode_texts(tokenizer, ["a"], ["a"], window), 3),
        (lambda tokenizer, window: encode_words(tokenizer, [["a"]], window), 2),
    ],
)
def test_a_window_for_special_tokens_alone_is_refused(taggers: Taggers, encode: Any, special: int) -> None:
    for window in range(special + 1):
        message = (
            f"max_length {window} leaves no room beside the {special} special tokens that BertTokenizer adds: raise"
        )
        with pytest.raises(InputError, match=message):
            encode(taggers("bert"), window)
    assert len(encode(taggers("bert"), special + 1)["input_ids"][0]) == special + 1


def test_a_tokenizer_in_python_alone_encodes_texts() -> None:
    columns = encode_texts(ByT5Tokenizer(), ["", "abc", "abcd"], None, max_length=4)
    assert columns["input_ids"] == [[1], [100, 101, 102, 1], [100, 101, 102, 1]]  # the bytes, three up, and </s>
    assert columns["truncated"] == [0, 0, 1]
