"""The span head against plain references: its scores, its loss, and spans to tags and back."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.errors import InputError
from lightning_clf.heads import SpanHead
from lightning_clf.heads.span_core import flat_spans, span_mask, span_targets
from lightning_clf.labels import LabelSpace
from lightning_clf.schemes import Span, spans, write
from lightning_clf.span_grid import TagTables
from tests.heads.batches import attached, check_legal, word_batch
from tests.texts import repeatable
from tests.training import complaint

TYPES = ["PER", "LOC"]
SPACES = {scheme: LabelSpace.tags(TYPES, scheme) for scheme in ("IOB1", "IOB2", "BIOES")}
SPACES["mixed"] = LabelSpace(("I-LOC", "B-PER", "O", "I-PER", "B-LOC"), "tags", "IOB2")
by_space = pytest.mark.parametrize("space", SPACES)
SEEN = [[1, 1, 1, 1, 1], [1, 0, 1, 1], [1], [], [0], [1, 1, 0]]
WIDTH = 3


@pytest.fixture
def head() -> SpanHead:
    torch.manual_seed(0)
    return attached(SpanHead(features=6, max_width=WIDTH), SPACES["IOB2"])


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans that do not overlap, and the length of the sentence they are in."""
    found, word = [], 0
    sizes = st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(TYPES))
    for gap, size, kind in draw(st.lists(sizes, max_size=5)):
        found.append(Span(kind, word + gap, word + gap + size))
        word += gap + size
    return found, word + draw(st.integers(0, 2))


@by_space
@repeatable
@given(st.lists(sentences(), min_size=1, max_size=4))
def test_tags_to_spans_and_back(space: str, batch_of: list[tuple[list[Span], int]]) -> None:
    labels = SPACES[space]
    head = attached(SpanHead(max_width=4), labels)
    tags = [write(found, length, labels.scheme) for found, length in batch_of]
    batch = word_batch([[1] * length for _, length in batch_of], [[labels.index(tag) for tag in row] for row in tags])
    seen = batch.first_subword >= 0
    classes = span_targets(batch.targets, seen, TagTables.of(labels), 4)
    for row, (found, _) in enumerate(batch_of):
        got = [
            Span(labels.entity_types[classes[row, start, width] - 1], start, start + width + 1)
            for start, width in (classes[row] > 0).nonzero().tolist()
        ]
        assert got == found == spans(tags[row], labels.scheme)
    # a head that is sure of just these
    scores = torch.nn.functional.one_hot(classes.clamp(min=0), 1 + len(TYPES)).float()
    indices = head.decode(scores, batch).indices
    assert torch.equal(indices[seen], batch.targets[seen])


def greedy(scores: torch.Tensor, seen: list[int], types: tuple[str, ...]) -> list[Span]:
    """All spans whose likeliest class is a type, sorted by log odds, and those taken that overlap none before."""
    candidates = []
    for start, width in itertools.product(range(len(seen)), range(scores.shape[1])):
        if start + width < len(seen) and all(seen[start : start + width + 1]):
            values = scores[start, width].tolist()
            kind = max(range(1, len(values)), key=values.__getitem__)
            if values[kind] > values[0]:
                candidates.append((values[kind] - values[0], Span(types[kind - 1], start, start + width + 1)))
    taken: list[Span] = []
    for _, span in sorted(candidates, reverse=True):
        if all(span.end <= other.start or other.end <= span.start for other in taken):
            taken.append(span)
    return sorted(taken, key=lambda span: span.start)


@by_space
@repeatable
@given(st.data())
def test_spans_are_taken_greedily_and_legally(space: str, data: st.DataObject) -> None:
    labels = SPACES[space]
    head = attached(SpanHead(max_width=4), labels)
    seen = data.draw(st.lists(st.lists(st.integers(0, 3).map(bool).map(int), max_size=9), min_size=1, max_size=4))
    batch = word_batch(seen)
    words = batch.first_subword.shape[1]
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    scores = torch.randn(len(seen), words, min(4, words), 3, generator=generator)
    scores[..., 0] += data.draw(st.sampled_from([-1.0, 1.0, 2.0]))
    prediction = head.decode(scores, batch)
    assert prediction.probabilities is None
    check_legal(labels, prediction.indices, batch)
    for row, marks in enumerate(seen):
        found = greedy(scores[row], marks, labels.entity_types)
        tags = [labels.names[index] for index in prediction.indices[row, : len(marks)].tolist()]
        assert tags == write(found, len(marks), labels.scheme)


def test_what_a_span_s_classes_have_in_common_does_not_rank_it() -> None:
    scores = torch.tensor([[[0.0, 2.0], [0.0, 1.0]], [[99.0, 100.0], [0.0, 0.0]]])[None]
    marks = flat_spans(scores, span_mask(torch.ones(1, 2, dtype=torch.bool), 2))
    assert marks.first.tolist() == marks.last.tolist() == [[True, True]]
    shifted = flat_spans(scores + torch.tensor([0.0, 50.0])[:, None], span_mask(torch.ones(1, 2, dtype=torch.bool), 2))
    assert torch.equal(shifted.first, marks.first)


def test_scores_are_the_formula(head: SpanHead) -> None:
    head = head.double()
    batch = word_batch([[1, 1, 1, 1, 1], [1, 1]])
    hidden = torch.randn(2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scores = head(hidden, batch)
    assert scores.shape == (2, 5, WIDTH, 3)
    for row, first, width in itertools.product(range(2), range(5), range(WIDTH)):
        if first + width < (5, 2)[row]:
            start = (head.start.weight @ hidden[row, first] + head.start.bias).clamp(min=0)
            end = (head.end.weight @ hidden[row, first + width] + head.end.bias).clamp(min=0)
            for kind in range(3):
                expected = start @ head.pairs[kind] @ end + head.output.weight[kind] @ torch.cat((start, end))
                torch.testing.assert_close(scores[row, first, width, kind], expected + head.output.bias[kind])
    assert attached(SpanHead(max_width=50), SPACES["IOB2"])(hidden.float(), batch).shape == (2, 5, 5, 3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_loss_is_cross_entropy_over_spans_of_seen_words(head: SpanHead, dtype: torch.dtype) -> None:
    tags = [["B-PER", "I-PER", "B-LOC", "O", "B-LOC"], ["O", "I-PER", "B-PER", "I-PER"], ["B-LOC"], [], ["O"],
            ["B-PER", "B-PER", "I-PER"]]  # fmt: skip
    batch = word_batch(SEEN, [[head.labels.index(tag) for tag in row] for row in tags])
    # what the seen words say of entities; a word that is not seen is O
    gold = [{(0, 1): "PER", (2, 2): "LOC", (4, 4): "LOC"}, {(2, 3): "PER"}, {(0, 0): "LOC"}, {}, {},
            {(0, 0): "PER", (1, 1): "PER"}]  # fmt: skip
    scores = torch.randn(6, 5, WIDTH, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).to(dtype)
    expected = 0.0
    for row, seen in enumerate(SEEN):
        for first, last in itertools.combinations_with_replacement(range(len(seen)), 2):
            if last - first < WIDTH and all(seen[first : last + 1]):
                kind = gold[row].get((first, last))
                right = 0 if kind is None else 1 + TYPES.index(kind)
                logits = scores[row, first, last - first].double()
                expected += (logits.exp().sum().log() - logits[right]).item()
    terms = head.structural_loss(scores, batch)
    assert terms.total.item() == pytest.approx(expected, rel=1e-6)
    assert terms.total.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert terms.weight.item() == sum(map(sum, SEEN))
    hidden = replace(batch, targets=batch.targets.where(batch.first_subword >= 0, IGNORE))  # as TokenClassifier has it
    assert head.structural_loss(scores, hidden) == terms


def test_the_loss_at_the_edges(head: SpanHead) -> None:
    batch = word_batch([[1] * 3], [[1, 2, 0]])
    scores = torch.randn(1, 3, WIDTH, 3, generator=torch.Generator().manual_seed(5))
    none = head.structural_loss(scores, replace(batch, targets=torch.full((1, 3), IGNORE)))
    assert (none.total.item(), none.weight.item(), none.mean.item()) == (0, 0, 0)
    far = torch.tensor([1e4, 0.0, -1e4]).repeat(1, 3, WIDTH, 1)
    far[0, 0, 1] = torch.tensor([-1e4, 1e4, 0.0])  # PER from the first word to the second
    assert head.structural_loss(far, batch).total.item() == 0
    wrong = (-far).requires_grad_()
    terms = head.structural_loss(wrong, batch)
    terms.mean.backward()
    assert terms.total.item() == 6 * 2e4  # of all six spans the right class is last
    assert wrong.grad.isfinite().all()
    assert wrong.grad[0, 0, 1, 1] < 0


def test_entities_that_are_too_long_are_none(head: SpanHead) -> None:
    batch = word_batch([[1] * 5], [[1, 2, 2, 2, 0]])
    classes = span_targets(batch.targets, batch.first_subword >= 0, TagTables.of(head.labels), WIDTH)
    assert (classes[0, 0] == 0).all()
    assert (classes > 0).sum() == 0
    assert (span_targets(batch.targets, batch.first_subword >= 0, TagTables.of(head.labels), 4) > 0).sum() == 1


def test_gradients(head: SpanHead) -> None:
    head = head.double()
    batch = word_batch(SEEN, [[1, 2, 3, 0, 3], [0, 2, 1, 2], [3], [], [0], [1, 1, 2]])
    hidden = torch.randn(6, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda states: head.structural_loss(head(states, batch), batch).total, hidden)
    head.structural_loss(head(hidden, batch), batch).total.backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_what_is_not_seen_has_no_say(head: SpanHead) -> None:
    batch = word_batch(SEEN, [[1, 2, 3, 0, 3], [0, 2, 1, 2], [3], [], [0], [1, 1, 2]])
    scores = torch.randn(6, 5, WIDTH, 3, generator=torch.Generator().manual_seed(4))
    mask = span_mask(batch.first_subword >= 0, WIDTH)
    other = torch.where(mask[..., None], scores, torch.tensor([0.0, 1e4, 0.0])).requires_grad_()
    terms = head.structural_loss(other, batch)
    torch.testing.assert_close(terms.total, head.structural_loss(scores, batch).total)
    assert torch.equal(head.decode(other.detach(), batch).indices, head.decode(scores, batch).indices)
    terms.total.backward()
    assert not other.grad[~mask].any()


def test_a_batch_of_no_words(head: SpanHead) -> None:
    batch: Batch = word_batch([[], [0]], [[], [0]])
    scores = head(torch.ones(2, 1, 4), batch)
    terms = head.structural_loss(scores, batch)
    assert (terms.total.item(), terms.weight.item()) == (0, 0)
    assert head.decode(scores, batch).indices.tolist() == [[0], [0]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LabelSpace.tags(["NN", "VB"], "none"), "SpanHead needs tags of spans"),
        (LabelSpace(("O", "B-X", "I-X", "E-X"), "tags", "BIOES"), "the labels have no S-X: add it"),
        (LabelSpace(("B-X", "I-X"), "tags", "IOB2"), "the labels have no O: add it"),
    ],
)
def test_labels_it_cannot_write_are_refused(labels: LabelSpace, message: str) -> None:
    assert message in complaint(lambda: attached(SpanHead(), labels))


@pytest.mark.parametrize("option", [{"max_width": 0}, {"features": 0}, {"dropout": 1.5}])
def test_numbers_out_of_range(option: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))} is "):
        SpanHead(**option)
