"""Tag schemes: reading, writing, converting and recognising them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.scheme import IOB1, IOB2, IOBES, Entities

from lightning_clf.errors import InputError
from lightning_clf.schemes import (
    SCHEMES,
    Scheme,
    Span,
    check_tag,
    check_tags,
    convert,
    detect,
    entity_types,
    follows,
    full_tagset,
    spans,
    split_tag,
    write,
)

SPAN_SCHEMES: list[Scheme] = ["IOB1", "IOB2", "BIOES"]
SEQEVAL = {"IOB1": IOB1, "IOB2": IOB2, "BIOES": IOBES}
TYPES = ["PER", "LOC"]


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans that do not overlap, and the length of the sentence they are in."""
    found, word = [], 0
    for gap, size, kind in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from(TYPES)))):
        found.append(Span(kind, word + gap, word + gap + size))
        word += gap + size
    return found, word + draw(st.integers(0, 2))


@pytest.mark.parametrize(("scheme", "length"), [("IOB1", 4), ("IOB2", 4), ("BIOES", 3)])
def test_spans_are_those_of_seqeval_for_every_sequence(scheme: Scheme, length: int) -> None:
    every = list(itertools.product(full_tagset(TYPES, scheme), repeat=length))
    reference = Entities([list(tags) for tags in every], SEQEVAL[scheme]).entities
    for tags, entities in zip(every, reference, strict=True):
        assert spans(tags, scheme) == [(entity.tag, entity.start, entity.end) for entity in entities], tags


@settings(deadline=None)
@given(st.data(), st.sampled_from(SPAN_SCHEMES))
def test_spans_are_those_of_seqeval_for_long_sequences(data: st.DataObject, scheme: Scheme) -> None:
    tags = data.draw(st.lists(st.sampled_from(full_tagset(TYPES, scheme)), min_size=1, max_size=20))
    entities = Entities([tags], SEQEVAL[scheme]).entities[0]
    assert spans(tags, scheme) == [(entity.tag, entity.start, entity.end) for entity in entities]


@pytest.mark.parametrize(("scheme", "length"), [("IOB1", 4), ("IOB2", 4), ("BIOES", 3)])
def test_legal_sequences_are_those_that_write_makes(scheme: Scheme, length: int) -> None:
    for tags in itertools.product(full_tagset(TYPES, scheme), repeat=length):
        legal = write(spans(tags, scheme), length, scheme) == list(tags)
        if legal:
            check_tags(tags, scheme)
        else:
            with pytest.raises(InputError, match="word index"):
                check_tags(tags, scheme)


@settings(deadline=None)
@given(sentences(), st.sampled_from(SPAN_SCHEMES))
def test_what_is_written_is_read_again(sentence: tuple[list[Span], int], scheme: Scheme) -> None:
    found, length = sentence
    tags = write(found, length, scheme)
    assert len(tags) == length
    check_tags(tags, scheme)
    assert spans(tags, scheme) == found


@settings(deadline=None)
@given(sentences(), st.sampled_from(SPAN_SCHEMES), st.sampled_from(SPAN_SCHEMES))
def test_converting_loses_nothing(sentence: tuple[list[Span], int], source: Scheme, target: Scheme) -> None:
    tags = write(*sentence, source)
    converted = convert(tags, source, target)
    assert spans(converted, target) == spans(tags, source)
    assert convert(converted, target, source) == tags


@settings(deadline=None)
@given(st.lists(sentences(), max_size=4), st.sampled_from(SPAN_SCHEMES))
def test_the_scheme_of_written_tags_is_recognised(corpus: list[tuple[list[Span], int]], scheme: Scheme) -> None:
    sequences = [write(*sentence, scheme) for sentence in corpus]
    expected = scheme if any(found for found, _ in corpus) else "IOB2"
    assert detect(iter(sequences)) == expected


def test_the_same_spans_in_every_scheme() -> None:
    found = [Span("PER", 0, 2), Span("PER", 2, 3), Span("LOC", 3, 4)]
    assert write(found, 5, "IOB1") == ["I-PER", "I-PER", "B-PER", "I-LOC", "O"]
    assert write(found, 5, "IOB2") == ["B-PER", "I-PER", "B-PER", "B-LOC", "O"]
    assert write(reversed(found), 5, "BIOES") == ["B-PER", "E-PER", "S-PER", "S-LOC", "O"]


def test_bilou_becomes_bioes() -> None:
    assert split_tag("U-PER") == ("S", "PER")
    assert convert(["B-PER", "I-PER", "L-PER", "U-LOC"], "BIOES", "BIOES") == ["B-PER", "I-PER", "E-PER", "S-LOC"]
    assert detect([["U-PER", "O", "B-PER", "L-PER"]]) == "BIOES"


def test_types_may_hold_hyphens() -> None:
    assert spans(["B-per-son", "I-per-son"], "IOB2") == [("per-son", 0, 2)]
    assert entity_types(["O", "B-per-son", "B-LOC", "I-LOC"], "IOB2") == ("per-son", "LOC")


def test_scheme_none_has_no_spans() -> None:
    tags = ["NOUN", "B-PER", ""]
    check_tags(tags, "none")
    assert check_tag("NOUN", "none") == ("O", "")
    assert spans(tags, "none") == []
    assert entity_types(tags, "none") == ()
    assert convert(tags, "none", "none") == tags
    assert follows("NOUN", "VERB", "none")
    with pytest.raises(InputError, match="only one of them has spans"):
        convert(tags, "none", "IOB2")
    with pytest.raises(InputError, match="scheme none has no spans to write"):
        write([Span("PER", 0, 1)], 1, "none")


@pytest.mark.parametrize("tag", ["E-PER", "L-PER", "PER", "B-", "-PER", "BI-PER", "O-PER", "b-PER", ""])
def test_tags_of_no_scheme_are_refused(tag: str) -> None:
    with pytest.raises(InputError, match="is not one of scheme IOB2"):
        check_tag(tag, "IOB2")
    with pytest.raises(InputError, match=rf"word index 1: tag '{tag}' is not one of scheme IOB2: .*data\.scheme"):
        check_tags(["O", tag], "IOB2")
    with pytest.raises(InputError):
        spans([tag], "IOB2")


@pytest.mark.parametrize(
    ("tags", "scheme", "message"),
    [
        (["O", "I-PER"], "IOB2", "word index 1: tag 'I-PER' cannot follow 'O' in IOB2"),
        (["I-PER"], "IOB2", "word index 0: tag 'I-PER' cannot begin a sequence in IOB2"),
        (["B-PER", "I-LOC"], "IOB2", "word index 1: tag 'I-LOC' cannot follow 'B-PER' in IOB2"),
        (["I-PER", "B-LOC"], "IOB1", "word index 1: tag 'B-LOC' cannot follow 'I-PER' in IOB1"),
        (["B-PER", "O"], "BIOES", "word index 1: tag 'O' cannot follow 'B-PER' in BIOES"),
        (["S-PER", "E-PER"], "BIOES", "word index 1: tag 'E-PER' cannot follow 'S-PER' in BIOES"),
        (["O", "B-PER", "I-PER"], "BIOES", "word index 2: tag 'I-PER' cannot end a sequence in BIOES"),
    ],
)
def test_sequences_a_scheme_does_not_allow(tags: list[str], scheme: Scheme, message: str) -> None:
    with pytest.raises(InputError) as raised:
        check_tags(tags, scheme)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError):
        convert(tags, scheme, "IOB2")


@pytest.mark.parametrize("bad", [[("PER", 0, 0)], [("PER", 0, 2), ("LOC", 1, 3)], [("PER", 3, 5)], [("PER", -1, 1)]])
def test_spans_that_cannot_be_written(bad: list[tuple[str, int, int]]) -> None:
    with pytest.raises(InputError, match="overlaps"):
        write([Span(*span) for span in bad], 4, "IOB2")


def test_detect_knows_tags_that_are_no_spans() -> None:
    assert detect([["DT", "NN", "-LRB-"], ["O", "NN-TL"]]) == "none"
    assert detect([["O", "O"], []]) == "IOB2"
    assert detect([]) == "IOB2"


def test_detect_names_the_evidence_of_mixed_schemes() -> None:
    with pytest.raises(InputError) as raised:
        detect([["O"], ["O", "B-PER"], ["I-PER", "O"]])
    message = str(raised.value)
    assert message.startswith("mixed schemes: ")
    assert "not IOB2 (example index 2, word index 0: tag 'I-PER' cannot begin a sequence in IOB2)" in message
    assert "not IOB1 (example index 1, word index 1: tag 'B-PER' cannot follow 'O' in IOB1)" in message
    with pytest.raises(InputError, match=r"mixed schemes: .*not BIOES \(example index 1, word index 0"):
        detect([["S-PER"], ["I-PER"]])
    with pytest.raises(InputError, match=r"mixed schemes: 'B-PER' \(example index 0, .* 'PER' \(example index 1,"):
        detect([["B-PER"], ["PER"]])


@pytest.mark.parametrize(
    "corpus",
    [[["o", "b-per", "i-per"]], [["O"], ["O", "b-LOC"]], [["s-PER", "o"]], [["u-PER", "O"]], [["o", "o"]]],
)
def test_tags_in_small_letters_are_not_taken_for_tags_without_spans(corpus: list[list[str]]) -> None:
    small = next((s, w, tag) for s, tags in enumerate(corpus) for w, tag in enumerate(tags) if tag != "O")
    with pytest.raises(InputError) as raised:
        detect(corpus)
    assert str(raised.value) == (
        f"tag {small[2]!r} (example index {small[0]}, word index {small[1]}) is one of a scheme but for the small "
        "letter it begins with: write such tags as B-PER and O, or set data.scheme: none"
    )


def test_tags_in_small_letters_beside_others() -> None:
    assert detect([["n", "v", "o"], ["b-adj"]]) == "none"
    with pytest.raises(InputError, match=r"mixed schemes: 'B-PER' \(.*\) is the tag of a span, 'o' \(.*\) is not"):
        detect([["B-PER", "o"]])
    with pytest.raises(InputError, match=r"mixed schemes: 'B-PER' .* 'b-PER' \(example index 0, word index 1\) is not"):
        detect([["B-PER", "b-PER"]])


def test_every_scheme_is_named() -> None:
    assert set(SCHEMES) == {*SPAN_SCHEMES, "none"}
    assert full_tagset(TYPES, "BIOES")[:5] == ["O", "B-PER", "I-PER", "E-PER", "S-PER"]
    assert full_tagset(["NOUN", "VERB"], "none") == ["NOUN", "VERB"]
