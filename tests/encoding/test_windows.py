"""Long texts in windows, against windows cut by hand: what each holds, and to which a word belongs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.encoding import Collator, encode_texts, encode_words
from lightning_clf.labels import LabelSpace
from tests.encoding.test_collate import rows_of
from tests.texts import repeatable, sentences
from tests.tiny import CORPUS
from tests.training import complaint

TAGS = LabelSpace.tags(["PER", "LOC"], "IOB2")
TEXTS = LabelSpace.of(["bad", "good"], "single")
architectures = pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "qwen3"])
windows = st.tuples(st.integers(5, 20), st.integers(0, 19)).filter(lambda pair: pair[1] < pair[0] - 2)


def by_hand(tokenizer, content, max_length, stride):
    """Content cut into windows: each as (what stands before it, its part of the content, what stands after)."""
    special = tokenizer.num_special_tokens_to_add(False)
    room = max_length - special
    starts, start = [0], 0
    while start + room < len(content):
        start += room - stride
        starts.append(start)
    return [content[start : start + room] for start in starts]


def cut(values, sizes):
    """What stands one after another, cut into windows."""
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    return [values[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def owner(pieces, word):
    """The window of a word: that with most of it, of those that with most around it, of those the first."""
    best, found = None, None
    for number, piece in enumerate(pieces):
        places = [place for place, one in enumerate(piece) if one == word]
        if not places:
            continue
        before = float("inf") if number == 0 else places[0]
        after = float("inf") if number == len(pieces) - 1 else len(piece) - 1 - places[-1]
        goodness = (len(places), min(before, after))
        if best is None or goodness > best:
            best, found = goodness, number
    return found


@architectures
@repeatable
@given(sentences, windows)
def test_each_word_belongs_to_the_window_that_holds_most_around_it(taggers, backends, architecture, batch, window):
    tokenizer, (max_length, stride) = taggers(architecture), window
    columns = encode_words(tokenizer, batch, max_length, stride)
    assert columns["word_count"] == [len(words) for words in batch]
    assert columns["truncated"] == [0] * len(batch)
    for words, ids, owned, sizes in zip(
        batch, columns["input_ids"], columns["word_ids"], columns["windows"], strict=True
    ):
        whole = backends(architecture).encode(words, is_pretokenized=True, add_special_tokens=False)
        pieces = by_hand(tokenizer, list(zip(whole.ids, whole.word_ids, strict=True)), max_length, stride)
        assert len(ids) == len(owned) == sum(sizes)
        assert max(sizes) <= max_length
        if not whole.ids:
            assert set(owned) == {-1}
            continue
        special = tokenizer.num_special_tokens_to_add(False)
        first = 1 if special else 0  # of those that stand before
        for got, got_owned, piece in zip(cut(ids, sizes), cut(owned, sizes), pieces, strict=True):
            assert got[first : first + len(piece)] == [token for token, _ in piece]
            assert len(got) == len(piece) + special
            assert all(word == -1 for word in [*got_owned[:first], *got_owned[first + len(piece) :]])
        for word in set(whole.word_ids):
            kept = owner([[one for _, one in piece] for piece in pieces], word)
            for number, (got, piece) in enumerate(zip(cut(owned, sizes), pieces, strict=True)):
                expected = sum(one == word for _, one in piece) if number == kept else 0
                assert got.count(word) == expected


@architectures
@repeatable
@given(st.lists(st.text(max_size=80), min_size=1, max_size=4), windows)
def test_windows_of_texts_hold_all_of_them(taggers, architecture, texts, window):
    tokenizer, (max_length, stride) = taggers(architecture), window
    columns = encode_texts(tokenizer, texts, None, max_length, stride)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    for text, ids, sizes in zip(texts, columns["input_ids"], columns["windows"], strict=True):
        content = backend.encode(text, add_special_tokens=False).ids
        pieces = by_hand(tokenizer, content, max_length, stride)
        first = 1 if tokenizer.num_special_tokens_to_add(False) else 0
        assert len(sizes) == len(pieces)
        for got, piece in zip(cut(ids, sizes), pieces, strict=True):
            assert got[first : first + len(piece)] == piece


def test_a_text_that_one_window_holds_is_encoded_as_ever(taggers):
    texts = ["a great joy", "", "so sad"]
    plain = encode_texts(taggers("bert"), texts, None, 32)
    assert encode_texts(taggers("bert"), texts, None, 32, stride=4) == {
        **plain, "windows": [[len(ids)] for ids in plain["input_ids"]]
    }  # fmt: skip


WORDS = [" ".join(CORPUS).split(), ["Anna"], []]


def test_windows_are_the_rows_of_a_batch(taggers):
    tokenizer = taggers("bert")
    columns = encode_words(tokenizer, WORDS, 12, 4)
    batch = Collator(tokenizer, TAGS)(rows_of(columns))
    counts = [len(sizes) for sizes in columns["windows"]]
    assert len(batch) == 3
    assert batch.window_to_example.tolist() == [place for place, count in enumerate(counts) for _ in range(count)]
    assert batch.inputs["attention_mask"].sum(1).tolist() == [size for sizes in columns["windows"] for size in sizes]
    for row, (words, sizes) in enumerate(zip(WORDS, columns["windows"], strict=True)):
        pieces = cut(columns["word_ids"][row], sizes)
        length = batch.inputs["input_ids"].shape[1]
        for word in range(len(words)):
            (window,) = [number for number, piece in enumerate(pieces) if word in piece]
            expected = (sum(counts[:row]) + window) * length + pieces[window].index(word)
            assert batch.first_subword[row, word] == expected


def test_some_windows_are_drawn_by_what_shares_a_batch(taggers):
    tokenizer = taggers("bert")
    rows = rows_of(encode_texts(tokenizer, [" ".join(words) for words in WORDS * 3], None, 12, 4))
    whole, few = Collator(tokenizer, TEXTS), Collator(tokenizer, TEXTS, max_windows=2)
    batch = few(rows)
    assert batch.window_to_example.bincount().tolist() == [2, 1, 1] * 3
    assert {tuple(ids) for ids in batch.inputs["input_ids"].tolist()} <= {
        tuple(ids) for ids in whole(rows).inputs["input_ids"].tolist()
    }
    assert torch.equal(few(rows).inputs["input_ids"], batch.inputs["input_ids"])
    drawn = {str(few([rows[0], other]).inputs["input_ids"][:2].tolist()) for other in rows[1:]}
    assert len(drawn) > 1  # the same row beside others
    drawn = {str(few([{**rows[0], "draw": str(batch)}]).inputs["input_ids"].tolist()) for batch in range(9)}
    assert len(drawn) > 1  # the same row in other batches


def test_what_windows_are_not_for(taggers):
    tokenizer = taggers("bert")
    assert "these are pairs" in complaint(lambda: encode_texts(tokenizer, ["a"], ["b"], 12, 4))
    message = complaint(lambda: encode_texts(tokenizer, ["a"], None, 12, 10))
    assert message.startswith("data.stride 10 repeats all of the 10 subwords that a window of data.max_length 12 has")
