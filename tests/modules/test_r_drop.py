"""R-Drop against its formula, and in a step."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import distributions

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.labels import LabelSpace
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses import BCELoss, CrossEntropyLoss, MSELoss
from lightning_clf.modules.r_drop import agreeing, divergence
from tests.heads.batches import word_batch
from tests.training import NO_DROPOUT, complaint, make_data, make_module, make_trainer


def symmetric(one, other):
    """Half of the two divergences, as PyTorch has them."""
    there, back = distributions.kl_divergence(one, other), distributions.kl_divergence(other, one)
    return 0.5 * (there + back).sum()


def test_divergences_are_those_of_the_distributions():
    one, other = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    softmax = [distributions.Categorical(logits=scores) for scores in (one, other)]
    sigmoid = [distributions.Bernoulli(logits=scores) for scores in (one, other)]
    assert divergence(one, other, "single").item() == pytest.approx(symmetric(*softmax).item(), rel=1e-12)
    assert divergence(one, other, "tags").item() == pytest.approx(symmetric(*softmax).item(), rel=1e-12)
    assert divergence(one, other, "multi").item() == pytest.approx(symmetric(*sigmoid).item(), rel=1e-12)
    assert divergence(one[:, 0], other[:, 0], "score").item() == pytest.approx(
        (one - other)[:, 0].square().sum().item()
    )


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_gradients(kind):
    scores = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda both: divergence(both[0], both[1], kind), scores)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_extreme_and_imprecise_scores(kind):
    one = torch.tensor([[1e4, -1e4, 0.0]], dtype=torch.bfloat16, requires_grad=True)
    apart = divergence(one, -one.detach(), kind)
    apart.backward()
    assert apart.dtype == torch.float32
    assert torch.isfinite(apart)
    assert torch.isfinite(one.grad).all()
    assert divergence(one, one, kind).item() == 0
    assert divergence(one[:0], one[:0], kind).item() == 0


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_alpha_means_the_same_whatever_classes_weigh(scale):
    one, other = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    batch = Batch(inputs={}, example_ids=torch.arange(5), window_to_example=torch.arange(5))
    terms = LossTerms(torch.tensor(3.0 * scale, dtype=torch.float64), torch.tensor(5.0 * scale, dtype=torch.float64))
    mean = agreeing((one, terms), (other, terms), batch, "single", 2.0).mean
    assert mean.item() == pytest.approx(3 / 5 + 2 * divergence(one, other, "single").item() / 5, rel=1e-12)


PARTS = (slice(0, 1), slice(1, 4), slice(4, 5))
TAGS = torch.tensor([[0, 1, IGNORE], [2, 2, 1], [IGNORE] * 3, [0, IGNORE, IGNORE], [1, 0, 2]])


def words(part):
    """A batch of some of five sentences, of three words each."""
    return word_batch([[1] * 3] * len(TAGS[part]), TAGS[part].tolist())


def texts(part):
    return Batch(inputs={}, example_ids=torch.arange(5)[part], window_to_example=torch.arange(5)[part])


@pytest.mark.parametrize(
    ("kind", "loss", "shape", "targets", "batch"),
    [
        ("single", CrossEntropyLoss(), (5, 3), torch.tensor([0, 1, 2, 2, 0]), texts),
        ("multi", BCELoss(), (5, 3), torch.eye(5)[:, :3], texts),
        ("tags", CrossEntropyLoss(), (5, 3, 3), TAGS, words),
        ("score", MSELoss(), (5,), torch.arange(5.0), texts),
    ],
)
def test_batches_add_up(kind, loss, shape, targets, batch):
    loss.build(LabelSpace.of("abc", "single"))
    one, other = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def terms(part):
        passes = [(scores[part], loss(scores[part], targets[part])) for scores in (one, other)]
        return agreeing(*passes, batch(part), kind, 3.0)

    whole, parts = terms(slice(None)), [terms(part) for part in PARTS]
    assert sum(part.total.item() for part in parts) == pytest.approx(whole.total.item(), rel=1e-12)
    assert sum(part.weight.item() for part in parts) == whole.weight.item()


def trained(folder, encoder, kind, **options):
    torch.manual_seed(0)
    module = make_module(kind, encoder, learning_rate=1e-3, warmup_ratio=0.0, **options)
    make_trainer(folder, max_epochs=2).fit(module, make_data(kind))
    return module.network.state_dict()


@pytest.mark.parametrize("kind", ["single", "multi", "tags", "score"])
def test_without_dropout_steps_are_the_plain_ones_and_this_is_said(kind, encoders, tmp_path):
    options = {"encoder_options": NO_DROPOUT}
    plain = trained(tmp_path, encoders("bert"), kind, **options)
    with pytest.warns(UserWarning, match=r"model\.r_drop draws two passes under dropout together, but nothing was"):
        twice = trained(tmp_path, encoders("bert"), kind, r_drop=4.0, **options)
    torch.testing.assert_close(twice, plain, atol=2e-5, rtol=1e-4)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="model.r_drop")
        trained(tmp_path, encoders("bert"), kind, r_drop=4.0)


def train_loss(folder, encoder, kind, **options):
    torch.manual_seed(0)
    module = make_module(kind, encoder, **options)
    trainer = make_trainer(folder, max_steps=1)
    trainer.fit(module, make_data(kind))
    return trainer.callback_metrics["train/loss"].item()


@pytest.mark.parametrize("kind", ["single", "multi", "tags", "score"])
def test_a_step(kind, encoders, tmp_path):
    plain = train_loss(tmp_path, encoders("bert"), kind, encoder_options=NO_DROPOUT)
    # without dropout both passes answer the same
    assert train_loss(tmp_path, encoders("bert"), kind, encoder_options=NO_DROPOUT, r_drop=4.0) == pytest.approx(plain)
    dropped = {"hidden_dropout_prob": 0.5}
    weak, strong = (
        train_loss(tmp_path, encoders("bert"), kind, encoder_options=dropped, r_drop=alpha) for alpha in (1e-9, 1e3)
    )
    assert strong > weak + 1e-3


def test_refused(encoders):
    assert "model.r_drop" in complaint(lambda: make_module("single", encoders("bert"), r_drop=-1.0))
