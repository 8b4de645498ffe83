"""Splitting strings into words: offsets that give back the surface, over any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.encoding import split_words
from tests.texts import repeatable, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anna Berg flew to Rio.", ["Anna", "Berg", "flew", "to", "Rio", "."]),
        ("state-of-the-art", ["state-of-the-art"]),
        ("don't, can’t", ["don't", ",", "can’t"]),
        ("'quoted' -5", ["'", "quoted", "'", "-", "5"]),
        ("a--b", ["a", "-", "-", "b"]),
        ("snake_case 3.14", ["snake_case", "3", ".", "14"]),
        ("中文 naïve Ελλάδα", ["中", "文", "naïve", "Ελλάδα"]),
        ("☎️", ["☎️"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Jose\u0301, நன்றி", ["Jose\u0301", ",", "நன்றி"]),
        ("東京タワー", ["東", "京", "タワー"]),
        ("\u0301x", ["\u0301", "x"]),
        ("", []),
        (" \t\n\u3000", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in split_words(text)] == expected


@repeatable
@given(st.one_of(st.text(), st.lists(words).map(" ".join)))
def test_offsets_cover_exactly_what_is_not_white_space(text: str) -> None:
    spans = split_words(text)
    covered = [place for start, end in spans for place in range(start, end)]
    # strictly rising places: in order, no overlap, no empty word; and no space among them, none but spaces left
    assert covered == [place for place, character in enumerate(text) if not character.isspace()]
    assert all(start < end for start, end in spans)


@repeatable
@given(st.lists(st.text("abcÄß09_", min_size=1), max_size=8))
def test_words_between_spaces_come_back(written: list[str]) -> None:
    text = "  ".join(written)
    assert [text[start:end] for start, end in split_words(text)] == written
