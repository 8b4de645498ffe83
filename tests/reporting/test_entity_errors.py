"""Errors of entities add up to what the strict score counts, whatever the tags are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_clf import LabelSpace
from lightning_clf.reporting.entity_errors import count_errors, pair_errors
from lightning_clf.reporting.outcomes import Outcomes, count
from lightning_clf.schemes import Span


def span(text: str) -> Span:
    kind, start, end = text.split()
    return Span(kind, int(start), int(end))


@pytest.mark.parametrize(("gold", "predicted", "kinds"), [
    (["PER 0 2"], ["PER 0 2"], []),
    (["PER 0 2"], ["LOC 0 2"], ["type"]),
    (["PER 0 2"], ["PER 1 2"], ["boundary"]),
    (["PER 0 2"], ["LOC 1 3"], ["boundary_and_type"]),
    (["PER 0 2"], ["PER 2 3"], ["missed", "spurious"]),
    (["PER 0 4"], ["PER 0 1", "PER 2 4"], ["boundary", "spurious"]),
    (["PER 0 4"], ["LOC 0 3", "PER 3 4"], ["boundary", "spurious"]),
    (["PER 0 2", "LOC 2 4"], ["LOC 1 4"], ["missed", "boundary"]),
    (["PER 0 2", "LOC 2 4"], ["ORG 0 4"], ["boundary_and_type", "missed"]),
    (["PER 0 2"], [], ["missed"]),
    ([], ["PER 0 2"], ["spurious"]),
])  # fmt: skip
def test_kinds(gold, predicted, kinds):
    errors = pair_errors(list(map(span, gold)), list(map(span, predicted)))
    assert sorted(error.kind for error in errors) == sorted(kinds)


def test_the_largest_overlap_is_paired_first():
    errors = pair_errors([span("PER 0 5")], [span("PER 0 1"), span("PER 1 5")])
    assert ("boundary", span("PER 0 5"), span("PER 1 5")) in errors
    assert ("spurious", None, span("PER 0 1")) in errors


SCHEMES = {name: LabelSpace.tags(["A", "B"], name) for name in ("IOB1", "IOB2", "BIOES")}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SCHEMES)), st.data())
def test_errors_add_up(scheme, data):
    labels = SCHEMES[scheme]
    tag = st.integers(0, len(labels) - 1)
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    gold, given_ = ([data.draw(st.lists(tag, min_size=n, max_size=n)) for n in lengths] for _ in range(2))
    found = Outcomes(labels, gold, given_)
    errors = [error for row in range(len(found)) for error in pair_errors(*found.spans_of(row))]
    counts = count_errors(errors)
    tally = count(found).of_all().tally
    paired = counts.type + counts.boundary + counts.boundary_and_type
    assert paired + counts.missed == counts.false_negatives == int((tally.gold - tally.correct).sum())
    assert paired + counts.spurious == counts.false_positives == int((tally.predicted - tally.correct).sum())
    assert len(errors) == paired + counts.missed + counts.spurious
    for kind, one, other in errors:
        assert (one is None) == (kind == "spurious")
        assert (other is None) == (kind == "missed")
        if one and other:
            assert min(one.end, other.end) > max(one.start, other.start)
            assert (one[1:] == other[1:], one.type == other.type) == {
                "type": (True, False), "boundary": (False, True), "boundary_and_type": (False, False),
            }[kind]  # fmt: skip
