"""Near-duplicates against a comparison of all with all."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.language_models.near import Match, NearTexts, count_shingles, jaccard, shingles
from lightning_clf.language_models.sifting import Sieve
from tests.texts import repeatable

VOCABULARY = [
    "free",
    "entry",
    "win",
    "cash",
    "prize",
    "call",
    "now",
    "text",
    "stop",
    "claim",
    "your",
    "urgent",
    "award",
]


def plain(text):
    return {text[start : start + 5] for start in range(max(1, len(text) - 4))}


def test_shingles_take_no_notice_of_case_punctuation_and_forms():
    assert shingles("Ｆree  ENTRY, now!!") == plain("free entry now")
    assert shingles("hi") == {"hi"}
    assert shingles("☎️!") == {"☎️!"}
    assert shingles("") == {""}


def test_one_word_of_a_sentence_and_two():
    text = "the quick brown foxes jumps above every hazel sheep along it"  # 60 characters, 56 shingles
    one = text.replace("every", "QZXWV")
    assert len(shingles(text)) == 56
    assert jaccard(shingles(text), shingles(one)) == 47 / 65
    assert jaccard(shingles(text), shingles(one.replace("brown", "JKQYU"))) == 38 / 74


@pytest.mark.parametrize("threshold", [0.07, 0.3, 0.7, 0.9, 1.0])
def test_the_index_finds_what_a_comparison_with_all_finds(threshold):
    draw = random.Random(0)
    texts = [" ".join(draw.choices(VOCABULARY, k=draw.randint(1, 9))) for _ in range(300)]
    near = NearTexts(threshold, [(text, str(place)) for place, text in enumerate(texts[:150])])
    found = 0
    for place, text in enumerate(texts[150:], 150):
        own = plain(text)
        similar = [
            (len(own & plain(known)) / len(own | plain(known)), -where) for where, known in enumerate(texts[:place])
        ]
        best, where = max(similar)
        expected = Match(str(-where), best) if best >= threshold else None
        assert near.find(text) == expected
        found += expected is not None
        near.add(text, str(place))
    assert found or threshold == 1.0


def test_an_order_of_rarity_from_elsewhere_finds_the_same():
    draw = random.Random(1)
    texts = [" ".join(draw.choices(VOCABULARY, k=draw.randint(1, 5))) for _ in range(120)]
    both = NearTexts(0.5), NearTexts(0.5, rarity=count_shingles(texts[60:90]))
    for text in texts:
        plainly, ordered = (known.find(text) for known in both)
        assert plainly == ordered
        for known in both:
            known.add(text, text)


def test_what_all_texts_share_is_not_what_they_are_looked_up_by(monkeypatch):
    texts = [f"a bad act was done, {number * 7919:08d} times, number {number * 104729:09d}" for number in range(100)]
    sieve = Sieve(0.7, [(text, "train") for text in texts[:20]], [])
    compared = []
    monkeypatch.setattr(
        "lightning_clf.language_models.near.jaccard", lambda own, other: compared.append(1) or jaccard(own, other)
    )
    assert all(sieve.admit(text, "added", {}) for text in texts[20:])
    assert len(compared) < 3 * len(texts)  # of 4760 pairs


@repeatable
@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_whatever_is_known_is_found(texts):
    near = NearTexts(1.0, [(text, "known") for text in texts])
    for text in texts:
        assert near.find(text) == Match("known", 1.0)
