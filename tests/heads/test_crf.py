"""The CRF head: its likelihood against every legal sequence, and that no illegal one ever comes out."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.errors import InputError
from lightning_clf.heads import CRFHead
from lightning_clf.labels import LabelSpace
from lightning_clf.schemes import check_tags
from tests.heads.batches import SCHEMES, attached, check_legal, word_batch
from tests.texts import repeatable
from tests.training import complaint

by_scheme = pytest.mark.parametrize("scheme", SCHEMES)
# unseen words in the middle, at the end, at the beginning; one word; no word; one word that is not seen
SEEN = [[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 0], [0, 1, 1], [1], [], [0], [1, 1, 0, 0, 1]]


def random_head(labels: LabelSpace, seed: int = 0, scale: float = 1.0) -> CRFHead:
    """A head whose transitions are drawn, those of what is forbidden most of all."""
    head = attached(CRFHead(), labels)
    generator = torch.Generator().manual_seed(seed)
    for name in ("start", "pairs", "end"):
        weights = getattr(head, name).data
        bad = getattr(head, f"bad_{name}")
        weights.copy_(scale * torch.randn(weights.shape, generator=generator)).masked_fill_(bad, 50.0)
    return head


def draw(batch: Batch, seed: int = 1, scale: float = 2.0) -> torch.Tensor:
    """Emissions `[B,W,5]`."""
    return scale * torch.randn(*batch.words()[0].shape, 5, generator=torch.Generator().manual_seed(seed))


def legal(labels: LabelSpace, tags: tuple[int, ...]) -> bool:
    try:
        check_tags([labels.names[tag] for tag in tags], labels.scheme)
    except InputError:
        return False
    return True


def sequences(head: CRFHead, scores: torch.Tensor, seen: list[int]) -> dict[tuple[int, ...], float]:
    """Every sequence an example may have with its score, in float64, word by word from the scheme's own rules."""
    labels = head.labels
    skips = labels.scheme == "none"
    choices = [range(len(labels)) if mark else [labels.outside] for mark in seen]
    found = {}
    for tags in itertools.product(*choices):
        if not legal(labels, tags):
            continue
        kept = [word for word, mark in enumerate(seen) if mark or not skips]
        path = [tags[word] for word in kept]
        total = sum(scores[word, tags[word]].double().item() for word in kept if seen[word])
        if path:
            total += head.start[path[0]].item() + head.end[path[-1]].item()
        found[tags] = total + sum(head.pairs[one, other].item() for one, other in itertools.pairwise(path))
    return found


def targets(labels: LabelSpace, seed: int = 2) -> list[list[int]]:
    """A legal sequence for each example of `SEEN`, whatever is seen."""
    generator = np.random.default_rng(seed)
    result = []
    for example in SEEN:
        every = [tags for tags in itertools.product(range(5), repeat=len(example)) if legal(labels, tags)]
        result.append(list(every[generator.integers(len(every))]))
    return result


@by_scheme
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_best_sequence_and_the_share_of_each_tag(scheme: str, dtype: torch.dtype) -> None:
    head = random_head(SCHEMES[scheme])
    batch = word_batch(SEEN)
    scores = draw(batch).to(dtype)
    prediction = head.decode(scores, batch)
    assert prediction.probabilities.dtype == torch.float32
    for row, seen in enumerate(SEEN):
        every = sequences(head, scores[row], seen)
        total = logsumexp(list(every.values()))
        expected = np.zeros((5, 5))
        for tags, score in every.items():
            expected[range(len(tags)), tags] += np.exp(score - total)
        expected[: len(seen)] *= np.array(seen).reshape(-1, 1)
        np.testing.assert_allclose(prediction.probabilities[row].detach(), expected, atol=1e-5)
        if seen:
            assert tuple(prediction.indices[row, : len(seen)].tolist()) == max(every, key=every.__getitem__)


@by_scheme
def test_the_loss_is_that_of_the_targets_among_all_sequences(scheme: str) -> None:
    labels = SCHEMES[scheme]
    head = random_head(labels)
    gold = targets(labels)
    # what is not seen is O, which has to be legal here; below it is not
    gold = [
        [tag if mark else labels.outside for tag, mark in zip(tags, seen, strict=True)]
        for tags, seen in zip(gold, SEEN, strict=True)
    ]
    gold = [tags if legal(labels, tuple(tags)) else [labels.outside] * len(tags) for tags in gold]
    batch = word_batch(SEEN, gold)
    scores = draw(batch)
    expected = 0.0
    for row, seen in enumerate(SEEN):
        every = sequences(head, scores[row], seen)
        expected += logsumexp(list(every.values())) - every[tuple(gold[row])]
    terms = head.structural_loss(scores, batch)
    assert terms.total.item() == pytest.approx(expected, rel=1e-5)
    assert terms.weight.item() == sum(map(sum, SEEN))
    hidden = replace(batch, targets=batch.targets.where(batch.first_subword >= 0, IGNORE))  # as TokenClassifier has it
    assert head.structural_loss(scores, hidden) == terms


@pytest.mark.parametrize(
    ("scheme", "seen", "tags", "kept"),
    [
        # the pair of words at each fault is left open, but for those that are O since nothing speaks for them
        ("BIOES", [1, 1, 1, 0], ["O", "B-X", "I-X", "E-X"], ["O", "B-X", None, "O"]),
        ("BIOES", [1, 0, 1], ["B-X", "I-X", "E-X"], [None, "O", None]),
        ("BIOES", [1, 1, 1], ["O", "I-X", "O"], [None, None, None]),
        ("BIOES", [1, 1, 1, 1], ["S-X", "O", "B-X", "B-X"], ["S-X", "O", None, None]),
        ("IOB2", [1, 0, 1, 1], ["B-X", "I-X", "I-X", "I-X"], ["B-X", "O", None, "I-X"]),
        ("IOB2", [1, 1, 1], ["I-Y", "I-Y", "O"], [None, "I-Y", "O"]),
        ("IOB2", [1, 1, 1], ["B-X", "I-Y", "O"], [None, None, "O"]),
        ("IOB1", [1, 1, 1], ["O", "B-X", "I-X"], [None, None, "I-X"]),
        ("IOB1", [1, 1, 1], ["I-X", "B-X", "I-X"], ["I-X", "B-X", "I-X"]),
        ("none", [1, 0, 1], ["NN", "DT", "VB"], ["NN", "DT", "VB"]),
        ("IOB2", [1, 1, 1], ["B-X", None, "I-X"], ["B-X", None, "I-X"]),
    ],
)
def test_what_cannot_be_legal_is_left_open(
    scheme: str, seen: list[int], tags: list[str | None], kept: list[str | None]
) -> None:
    labels = SCHEMES[scheme]
    head = random_head(labels)
    gold = [IGNORE if tag is None else labels.index(tag) for tag in tags]
    batch = word_batch([seen], [gold])
    scores = draw(batch)
    terms = head.structural_loss(scores, batch)
    every = sequences(head, scores[0], seen)
    right = [
        score
        for path, score in every.items()
        if all(tag is None or not mark or labels.names[path[word]] == tag
               for word, (tag, mark) in enumerate(zip(kept, seen, strict=True)))
    ]  # fmt: skip
    assert right
    expected = logsumexp(list(every.values())) - logsumexp(right)
    assert terms.total.item() == pytest.approx(expected, abs=1e-5, rel=1e-5)
    assert terms.weight.item() == sum(tag is not None and mark for tag, mark in zip(kept, seen, strict=True))


@by_scheme
@repeatable
@given(st.data())
def test_any_targets_have_a_finite_loss(scheme: str, data: st.DataObject) -> None:
    labels = SCHEMES[scheme]
    seen = data.draw(st.lists(st.lists(st.integers(0, 1), max_size=7), min_size=1, max_size=3))
    gold = [data.draw(st.lists(st.sampled_from([*range(5), IGNORE]), min_size=len(e), max_size=len(e))) for e in seen]
    batch = word_batch(seen, gold)
    scores = draw(batch, seed=data.draw(st.integers(0, 9))).requires_grad_()
    head = random_head(labels)
    terms = head.structural_loss(scores, batch)
    assert -1e-4 <= terms.total.item() < 1e4
    assert 0 <= terms.weight.item() <= sum(map(sum, seen))
    terms.total.backward()
    for tensor in (scores, head.start, head.pairs, head.end):
        assert tensor.grad.isfinite().all()
    for name in ("start", "pairs", "end"):
        assert not getattr(head, name).grad[getattr(head, f"bad_{name}")].any()


@by_scheme
@repeatable
@given(st.data())
def test_no_illegal_sequence_comes_out(scheme: str, data: st.DataObject) -> None:
    labels = SCHEMES[scheme]
    seen = data.draw(st.lists(st.lists(st.integers(0, 1), max_size=12), min_size=1, max_size=4))
    batch = word_batch(seen)
    scale = data.draw(st.sampled_from([0.0, 1.0, 1e2, 1e4]))
    head = random_head(labels, seed=data.draw(st.integers(0, 9)), scale=data.draw(st.sampled_from([0.0, 1.0, 30.0])))
    scores = draw(batch, data.draw(st.integers(0, 99)), scale).to(data.draw(st.sampled_from(DTYPES)))
    prediction = head.decode(scores, batch)
    check_legal(labels, prediction.indices, batch)
    known = batch.first_subword >= 0
    torch.testing.assert_close(prediction.probabilities.sum(-1), known.float(), atol=1e-4, rtol=0)


DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@by_scheme
def test_emissions_of_any_size(scheme: str) -> None:
    labels = SCHEMES[scheme]
    head = random_head(labels)
    gold = targets(labels)[0]
    batch = word_batch([[1, 1, 1, 1]], [gold])
    signs = torch.randint(0, 2, (1, 4, 5), generator=torch.Generator().manual_seed(0))
    scores = (2e4 * signs - 1e4).float().requires_grad_()
    every = sequences(head, scores[0], [1, 1, 1, 1])
    terms = head.structural_loss(scores, batch)
    assert terms.total.item() == pytest.approx(logsumexp(list(every.values())) - every[tuple(gold)], abs=0.05)
    terms.total.backward()
    assert scores.grad.isfinite().all()
    prediction = head.decode(scores.detach(), batch)
    assert tuple(prediction.indices[0].tolist()) == max(every, key=every.__getitem__)


def test_long_sequences_keep_their_precision() -> None:
    labels = SCHEMES["IOB2"]
    head, exact = random_head(labels), random_head(labels).double()
    batch = word_batch([[1] * 400], [[0] * 400])
    scores = 100 + draw(batch, scale=8.0)
    one, two = head.structural_loss(scores, batch), exact.structural_loss(scores.double(), batch)
    assert one.total.item() == pytest.approx(two.total.item(), rel=1e-5)
    torch.testing.assert_close(
        head.decode(scores, batch).probabilities.double(), exact.decode(scores.double(), batch).probabilities,
        atol=1e-3, rtol=0,
    )  # fmt: skip


@by_scheme
def test_gradients(scheme: str) -> None:
    labels = SCHEMES[scheme]
    head = random_head(labels).double()
    batch = word_batch(SEEN, targets(labels))
    scores = draw(batch).double().requires_grad_()

    def loss(scores: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        named = dict(zip(("start", "pairs", "end"), weights, strict=True))
        return torch.func.functional_call(Total(head), {f"head.{k}": v for k, v in named.items()}, (scores, batch))

    weights = [getattr(head, name).detach().clone().requires_grad_() for name in ("start", "pairs", "end")]
    # a shift of all tags of a word, which the loss does without, is checked with the rest
    assert torch.autograd.gradcheck(loss, (scores, *weights))


class Total(torch.nn.Module):
    """The sum of a head's loss, with the head's parameters as arguments."""

    def __init__(self, head: CRFHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, scores: torch.Tensor, batch: Batch) -> torch.Tensor:
        return self.head.structural_loss(scores, batch).total


def test_low_precision_is_that_of_the_scores_alone() -> None:
    labels = SCHEMES["IOB2"]
    head = random_head(labels)
    batch = word_batch(SEEN, targets(labels))
    scores = draw(batch).bfloat16()
    low, high = head.structural_loss(scores, batch), head.structural_loss(scores.float(), batch)
    assert torch.equal(low.total, high.total)
    assert low.total.dtype == low.weight.dtype == torch.float32


def test_every_parameter_has_a_gradient_where_sentences_are_of_one_word() -> None:
    head = random_head(SCHEMES["IOB2"])
    batch = word_batch([[1], [1]], [[1], [0]])
    head.structural_loss(draw(batch), batch).total.backward()
    assert head.pairs.grad is not None
    assert not head.pairs.grad.any()


def test_tags_that_no_sequence_can_have_are_left_out() -> None:
    # I-Y has no B-Y to follow
    labels = LabelSpace(("O", "B-X", "I-X", "I-Y", "B-Z"), "tags", "IOB2")
    head = random_head(labels)
    batch = word_batch([[1, 1, 1, 1], [1, 1]], [[0, 3, 3, 3], [1, 2]])
    scores = draw(batch)
    alone = word_batch([[1, 1]], [[1, 2]])
    terms, expected = head.structural_loss(scores, batch), head.structural_loss(scores[1:, :2], alone)
    assert terms.total.item() == pytest.approx(expected.total.item(), rel=1e-5)
    assert terms.weight.item() == 2


def test_spans_without_a_tag_for_other_words_are_refused() -> None:
    message = complaint(lambda: attached(CRFHead(), LabelSpace(("B-X", "I-X"), "tags", "IOB2")))
    assert message == "CRFHead needs the tag O for words outside of entities: add it to the labels"
