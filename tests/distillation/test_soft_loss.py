"""What a student loses to its teacher, against formulas in float64."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.distillation.soft_loss import mean_logits, soft_loss, taught
from lightning_clf.labels import LabelSpace
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses import BCELoss, CrossEntropyLoss, MSELoss
from tests.heads.batches import word_batch

KINDS = ("single", "multi", "tags", "score")
TEMPERATURE, WEIGHT = 2.5, 0.7


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2


def softmax(line):
    powers = [math.exp(value) for value in line]
    return [power / sum(powers) for power in powers]


def plain(scores, soft, kind, temperature):
    """The loss of one place, written out."""
    if kind == "score":
        return (scores.item() - soft.item()) ** 2
    ours, theirs = ([value / temperature for value in line.tolist()] for line in (scores, soft))
    if kind == "multi":
        pairs = [(1 / (1 + math.exp(-t)), 1 / (1 + math.exp(-s))) for t, s in zip(theirs, ours, strict=True)]
        apart = sum(p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)) for p, q in pairs)
    else:
        apart = sum(p * math.log(p / q) for p, q in zip(softmax(theirs), softmax(ours), strict=True))
    return temperature**2 * apart


@pytest.mark.parametrize("temperature", [1.0, TEMPERATURE])
@pytest.mark.parametrize("kind", KINDS)
def test_formula_and_gradients(kind, temperature):
    shape = (5,) if kind == "score" else (5, 3)
    scores, soft = drawn(*shape).requires_grad_(), drawn(*shape, seed=1)
    expected = sum(plain(one, other, kind, temperature) for one, other in zip(scores, soft, strict=True))
    assert soft_loss(scores, soft, kind, temperature).item() == pytest.approx(expected, rel=1e-12)
    assert soft_loss(soft, soft, kind, temperature).item() == pytest.approx(0, abs=1e-12)
    assert torch.autograd.gradcheck(lambda given: soft_loss(given, soft, kind, temperature), scores)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_certain_teachers_and_little_precision(kind):
    soft = (
        torch.tensor([[0.0, -torch.inf, -torch.inf]])
        if kind == "single"
        else torch.tensor([[torch.inf, -torch.inf, 0]])
    )
    scores = torch.tensor([[30.0, -30.0, 0.0]], dtype=torch.bfloat16, requires_grad=True)
    loss = soft_loss(scores, soft, kind, 2.0)
    loss.backward()
    assert loss.dtype == torch.float32
    assert 0 <= loss.item() < 1e-4
    assert torch.isfinite(scores.grad).all()
    assert soft_loss(scores[:0], soft[:0], kind, 2.0).item() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_several_teachers_are_the_mean_of_their_probabilities(kind):
    answers = [drawn(4, 3, seed=seed) for seed in range(3)]
    mean = mean_logits(answers, kind)
    if kind == "score":
        torch.testing.assert_close(mean, sum(answers) / 3)
    else:
        of = torch.sigmoid if kind == "multi" else lambda logits: logits.softmax(-1)
        torch.testing.assert_close(of(mean), sum(map(of, answers)) / 3)
    assert mean_logits(answers[:1], kind) is answers[0]


def test_certain_teachers_have_a_mean():
    certain = [torch.tensor([torch.inf, torch.inf]), torch.tensor([-torch.inf, torch.inf])]
    torch.testing.assert_close(mean_logits(certain, "multi").sigmoid(), torch.tensor([0.5, 1.0]))
    sure = [torch.tensor([0.0, -torch.inf]), torch.tensor([-torch.inf, 0.0])]
    torch.testing.assert_close(mean_logits(sure, "single").softmax(-1), torch.tensor([0.5, 0.5]))


LOSSES = {"single": CrossEntropyLoss, "multi": BCELoss, "tags": CrossEntropyLoss, "score": MSELoss}
TAGS = torch.tensor([[0, 1, IGNORE], [2, 2, 1], [IGNORE] * 3, [0, IGNORE, IGNORE], [1, 0, 2]])
LABELLED = torch.tensor([True, True, False, True, True])
TARGETS = {"single": torch.tensor([0, 1, IGNORE, 2, 0]), "multi": torch.eye(5)[:, :3], "score": torch.arange(5.0)}


def example(kind, part, soft):
    """Some of five examples of which the third has no label; sentences are of three words."""
    if kind == "tags":
        batch = word_batch([[1] * 3] * len(TAGS[part]), TAGS[part].tolist())
    else:
        ids = torch.arange(5)[part]
        batch = Batch(inputs={}, example_ids=ids, window_to_example=ids, targets=TARGETS[kind][part])
    batch.labelled, batch.soft = LABELLED[part], soft[part]
    return batch


def terms_of(kind, part, scores, soft, weight=WEIGHT):
    loss = LOSSES[kind]()
    loss.build(LabelSpace.of("abc", "single"))
    batch = example(kind, part, soft)
    known, labelled = batch.labelled_part(scores[part])
    hard = loss(known, labelled.targets)
    return taught(scores[part], hard, batch, kind, temperature=TEMPERATURE, weight=weight), hard


def shapes(kind):
    return {"tags": (5, 3, 3), "score": (5,)}.get(kind, (5, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_of_every_place_its_label_and_its_teacher(kind):
    scores, soft = drawn(*shapes(kind)), drawn(*shapes(kind), seed=1)
    terms, hard = terms_of(kind, slice(None), scores, soft)
    lines = [(one, other) for one, other in zip(scores, soft, strict=True)]
    if kind == "tags":
        lines = [pair for one, other in lines for pair in zip(one, other, strict=True)]
    expected = (1 - WEIGHT) * hard.total.item() + WEIGHT * sum(plain(*pair, kind, TEMPERATURE) for pair in lines)
    places = {"single": 5, "multi": 15, "score": 5, "tags": 15}[kind]
    assert terms.weight.item() == places
    assert terms.total.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_add_up(kind):
    scores, soft = drawn(*shapes(kind)), drawn(*shapes(kind), seed=1)
    whole, _ = terms_of(kind, slice(None), scores, soft)
    parts = [terms_of(kind, part, scores, soft)[0] for part in (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 5))]
    assert sum(part.total.item() for part in parts) == pytest.approx(whole.total.item(), rel=1e-6)
    assert sum(part.weight.item() for part in parts) == whole.weight.item()


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_teacher_is_silent_the_label_counts_alone(kind):
    scores, soft = drawn(*shapes(kind)), drawn(*shapes(kind), seed=1)
    soft[0] = torch.nan
    terms, hard = terms_of(kind, slice(0, 1), scores, soft)
    assert terms.total.item() == pytest.approx((1 - WEIGHT) * hard.total.item(), rel=1e-6)
    assert terms.weight.item() == {"single": 1, "multi": 3, "score": 1, "tags": 2}[kind]


def test_class_weights_do_not_weigh_against_the_teacher():
    scores, soft = drawn(5, 3), drawn(5, 3, seed=1)
    batch = example("single", slice(None), soft)
    once = LossTerms(torch.tensor(3.0), torch.tensor(4.0))
    twice = LossTerms(torch.tensor(6.0), torch.tensor(8.0))
    one, other = (taught(scores, hard, batch, "single", temperature=1.0, weight=0.5) for hard in (once, twice))
    assert one.total.item() == pytest.approx(other.total.item())
