"""Linear layers fitted to embeddings, against scikit-learn and the condition of the optimum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from lightning_clf.heads import GradientFit, LogisticFit
from lightning_clf.labels import LabelSpace
from tests.training import complaint

SPACES = {count: LabelSpace.of("abcd"[:count], "single") for count in (2, 3, 4)}


def rows(classes: int, count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings that tell something of their classes."""
    generator = torch.Generator().manual_seed(classes)
    targets = torch.arange(count) % classes
    centres = torch.randn(classes, 6, generator=generator)
    return centres[targets] + torch.randn(count, 6, generator=generator), targets


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("l2", "balanced"), [(1.0, False), (0.2, True)])
def test_probabilities_are_those_of_scikit_learn(classes, l2, balanced):
    embeddings, targets = rows(classes, 41)
    weight, bias = LogisticFit(l2, balanced).fit(embeddings, targets, SPACES[classes])
    assert (weight.shape, bias.shape, weight.dtype) == ((classes, 6), (classes,), torch.float32)
    model = LogisticRegression(C=1 / l2, class_weight="balanced" if balanced else None, tol=1e-9, max_iter=5000)
    wanted = model.fit(embeddings.double().numpy(), targets.numpy()).predict_proba(embeddings.double().numpy())
    np.testing.assert_allclose((embeddings @ weight.T + bias).softmax(-1), wanted, atol=1e-5)


def test_the_optimum_of_two_classes():
    # the gradient of ½|w|² + Σ log(1 + exp(−y (w·x + b))) is 0
    embeddings, targets = rows(2)
    weight, bias = (part.double() for part in LogisticFit().fit(embeddings, targets, SPACES[2]))
    assert torch.equal(weight[0], -weight[1])
    w, b = (weight[1] - weight[0]).requires_grad_(), (bias[1] - bias[0]).requires_grad_()
    sign = 2.0 * targets - 1
    (0.5 * w @ w + functional.softplus(-sign * (embeddings.double() @ w + b)).sum()).backward()
    assert max(w.grad.abs().max(), b.grad.abs()) < 1e-4


def test_a_class_that_train_lacks_is_never_answered():
    embeddings, targets = rows(3)
    weight, bias = LogisticFit().fit(embeddings, torch.where(targets == 1, 3, targets), SPACES[4])
    probabilities = (100 * embeddings @ weight.T + bias).softmax(-1)
    assert not probabilities[:, 1].any()
    assert torch.isfinite((embeddings @ weight.T + bias).half()).all()
    three, _ = LogisticFit().fit(embeddings, targets, SPACES[3])
    torch.testing.assert_close(weight[[0, 3, 2]], three, atol=1e-4, rtol=1e-4)


def test_each_of_many_labels_by_itself():
    embeddings, targets = rows(2)
    many = torch.stack([targets, 1 - targets, torch.zeros(40), torch.ones(40)], 1).float()
    weight, bias = LogisticFit().fit(embeddings, many, LabelSpace.of("abcd", "multi"))
    model = LogisticRegression(tol=1e-9).fit(embeddings.double().numpy(), targets.numpy())
    wanted = model.decision_function(embeddings.double().numpy())
    logits = embeddings @ weight.T + bias
    np.testing.assert_allclose(logits[:, 0], wanted, atol=1e-4)
    np.testing.assert_allclose(logits[:, 1], -wanted, atol=1e-4)
    np.testing.assert_allclose(logits[:, 2:].sigmoid(), [[1 / 42, 41 / 42]] * 40, rtol=1e-5)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_descent_comes_to_the_optimum_of_what_it_descends(kind):
    embeddings, targets = rows(3, 60)
    targets = targets[torch.randperm(60, generator=torch.Generator().manual_seed(0))]  # which no layer tells apart
    if kind == "multi":
        targets = functional.one_hot(targets, 3).float()
    with torch.inference_mode():  # as validation is
        weight, bias = GradientFit(weight_decay=0.0, steps=3000).fit(
            embeddings.clone(), targets, LabelSpace.of("abc", kind)
        )
    # without a penalty to speak of, scikit-learn's is the same minimum
    wanted, offset = LogisticFit(l2=1e-6, max_iter=5000).fit(embeddings, targets, LabelSpace.of("abc", kind))
    one, other = (embeddings @ w.T + b for w, b in ((weight, bias), (wanted, offset)))
    loss = functional.cross_entropy if kind == "single" else functional.binary_cross_entropy_with_logits
    assert loss(one, targets).item() == pytest.approx(loss(other, targets).item(), rel=1e-3)


def test_nothing_random_is_drawn():
    before = torch.get_rng_state()
    embeddings, targets = rows(3)
    for fit in (LogisticFit(), GradientFit(steps=5)):
        one, two = (fit.fit(embeddings, targets, SPACES[3]) for _ in range(2))
        assert torch.equal(one[0], two[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogisticFit(l2=0.0), "model.head_fit.l2 is 0: give a number above 0"),
        (lambda: LogisticFit(max_iter=0), "model.head_fit.max_iter is 0: give 1 or more"),
        (lambda: GradientFit(learning_rate=0.0), "model.head_fit.learning_rate is 0: give a number above 0"),
    ],
)
def test_refusals(make, message):
    assert complaint(make) == message
