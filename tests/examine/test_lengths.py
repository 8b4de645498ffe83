"""What the window cuts is counted exactly, and the window that is advised cuts less than one in a hundred."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.data import SequenceDataModule, TokenDataModule
from lightning_clf.examine.lengths import true_lengths, truncation, window_for, windows
from tests.data.conftest import make_tokenizer


@given(st.lists(st.integers(1, 300), min_size=1, max_size=400))
def test_the_window_advised_is_the_smallest_that_cuts_next_to_nothing(lengths):
    lengths = np.array(lengths)
    window = window_for(lengths)
    assert window % 8 == 0
    assert (lengths > window).sum() < 0.01 * len(lengths)
    assert (lengths > window - 8).sum() >= 0.01 * len(lengths)


def test_forty_in_a_hundred_are_a_warning_with_a_window_that_would_do():
    lengths = np.array([10] * 60 + [50] * 40)
    finding = truncation("train", lengths, 32, 512)
    assert (finding.level, finding.found) == ("warning", "max_length 32 cuts 40 of 100 (40.0%)")
    assert finding.advice == "data.max_length 56 would cut less than 1%"


def test_a_window_beyond_the_encoder_is_not_advised():
    finding = truncation("test", np.array([10] * 50 + [600] * 40 + [900] * 10), 32, 512)
    assert finding.advice == (
        "data.max_length 512, the most this encoder has positions for, would cut 50.0%; data.stride reads the rest in "
        "further windows, as does an encoder of 904 positions in one"
    )


@pytest.mark.parametrize(("cut", "level"), [(0, "ok"), (1, "ok"), (2, "warning")])
def test_one_in_a_hundred_is_where_it_begins_to_matter(cut, level):
    lengths = np.array([40] * cut + [8] * (150 - cut))
    assert truncation("val", lengths, 32, None).level == level


@pytest.mark.parametrize("pair", [False, True])
def test_lengths_are_those_of_the_tokenizer_without_a_window(pair, tmp_path):
    rows = [{"text": "a b " * number, "text_pair": "c " * number, "label": "xy"[number % 2]} for number in range(1, 30)]
    data = SequenceDataModule(
        {"train": rows, "val": rows}, text_pair_column="text_pair" if pair else None, max_length=20, cache_dir=tmp_path
    )
    data.tokenizer = make_tokenizer()
    data.prepare_data()
    data.setup()
    lengths = true_lengths(data.val_dataloader().dataset.rows, data.splits["val"], data.row_format, data.tokenizer)
    assert lengths.tolist() == [(3 if pair else 2) + (3 if pair else 2) * number for number in range(1, 30)]


def test_words_are_counted_by_their_subwords(tmp_path):
    rows = [{"tokens": ["Anna"] * number, "tags": ["X", "Y"] * (number // 2)} for number in (2, 40, 4, 60)]
    data = TokenDataModule({"train": rows, "val": rows}, max_length=10, cache_dir=tmp_path)
    data.tokenizer = make_tokenizer()
    data.prepare_data()
    data.setup()
    lengths = true_lengths(data.val_dataloader().dataset.rows, data.splits["val"], data.row_format, data.tokenizer)
    assert lengths.tolist() == [4, 42, 6, 62]


def test_what_takes_several_windows_is_told():
    finding = windows("train", np.array([1, 1, 3, 2]), 32, 2)
    assert (finding.level, finding.check) == ("ok", "windows of train")
    assert finding.found == "2 of 4 take several windows of 32, at most 3, of which 2 go into a training step"
    assert windows("val", np.array([1, 5]), 32, 2).found == "1 of 2 take several windows of 32, at most 5"
