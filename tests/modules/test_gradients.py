"""What is backpropagated and logged is one mean over all words, whatever batches they come in."""

from __future__ import annotations

import copy

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from torch.nn import functional

from lightning_clf import SingleLabelClassifier
from lightning_clf.batch import IGNORE
from lightning_clf.heads import LinearHead
from lightning_clf.losses import CrossEntropyLoss, LossTerms
from tests.training import NO_DROPOUT, ROWS, make_data, make_module, make_trainer

WEIGHTS = [0.5, 3.0, 1.0, 2.0, 7.0]  # O, B-LOC, I-LOC, B-PER, I-PER
# sentences of 1 to 9 words, so that no two batches of two hold the same number
UNEVEN = [
    {"tokens": row["tokens"][:length], "tags": row["tags"][:length]}
    for row, length in zip([*ROWS["tags"][2:4], *ROWS["tags"]], (9, 1, 2, 5, 7, 3, 4, 8, 6, 1), strict=True)
]


class Steps(Callback):
    """The batches that went into each optimizer step, and the gradients it was taken with."""

    def __init__(self):
        self.steps, self.batches = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.batches.append(batch)
        if trainer.global_step > len(self.steps):
            gradients = {name: weight.grad.clone() for name, weight in pl_module.named_parameters()}
            self.steps.append((self.batches, gradients))
            self.batches = []


def word_scores(module, batches):
    """Scores and tags of every word, sentence by sentence."""
    scores, tags = [], []
    for batch in batches:
        mask = batch.targets != IGNORE
        scores.append(module(batch)[mask])
        tags.append(batch.targets[mask])
    return torch.cat(scores), torch.cat(tags)


def fit(encoders, folder, *, weights=None, batch_size=2, learning_rate=1e-30, **options):
    seed_everything(3, verbose=False)
    loss = CrossEntropyLoss(class_weights=weights) if weights else None
    module = make_module(
        "tags", encoders("bert"), loss=loss, learning_rate=learning_rate, encoder_options=NO_DROPOUT, weight_decay=0.0
    )
    steps = Steps()
    trainer = make_trainer(folder, callbacks=[steps], num_sanity_val_steps=0, **options)
    trainer.fit(module, make_data("tags", UNEVEN, batch_size=batch_size, group_by_length=False))
    return module, steps.steps, trainer


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("accumulated", [1, 2, 3])
def test_gradients_of_accumulated_batches_are_those_of_one_batch(weights, accumulated, encoders, tmp_path):
    module, steps, _ = fit(encoders, tmp_path, weights=weights, accumulate_grad_batches=accumulated)
    sizes = [len(batches) for batches, _ in steps]
    assert sizes == {1: [1, 1, 1, 1, 1], 2: [2, 2, 1], 3: [3, 2]}[accumulated]
    weight = torch.tensor(weights) if weights else None
    for batches, gradients in steps:
        module.zero_grad()
        loss = functional.cross_entropy(*word_scores(module, batches), weight=weight)
        loss.backward()
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-6, rtol=1e-5, msg=name)


def test_batches_that_weigh_nothing_leave_weights_finite(encoders, tmp_path):
    weights = [0.0, 1.0, 1.0, 1.0, 1.0]
    outside = [{"tokens": row["tokens"], "tags": ["O"] * len(row["tokens"])} for row in ROWS["tags"]]
    module = make_module("tags", encoders("bert"), loss=CrossEntropyLoss(class_weights=weights), weight_decay=0.0)
    trainer = make_trainer(tmp_path, num_sanity_val_steps=0, accumulate_grad_batches=8)
    rows = {"train": [*UNEVEN, *outside * 8], "val": UNEVEN}
    data = make_data("tags", source=rows, batch_size=1, group_by_length=False)
    trainer.fit(module, data)
    assert all(weight.isfinite().all() for weight in module.parameters())


def test_clipping_comes_after_the_mean(encoders, tmp_path):
    _, steps, _ = fit(encoders, tmp_path, accumulate_grad_batches=2, gradient_clip_val=0.01)
    for _, gradients in steps:
        norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
        assert norm.item() == pytest.approx(0.01, rel=1e-3)


def test_a_fit_with_accumulation_ends_in_the_same_weights(encoders, tmp_path):
    whole, steps, _ = fit(encoders, tmp_path, learning_rate=1e-2, batch_size=4, limit_train_batches=2)
    parts, same_steps, _ = fit(encoders, tmp_path, learning_rate=1e-2, accumulate_grad_batches=2, limit_train_batches=4)
    assert len(steps) == len(same_steps) == 2
    for (name, one), other in zip(whole.named_parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=0, msg=name)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_epoch_loss_is_the_mean_over_words_and_not_of_batch_means(weights, encoders, tmp_path):
    module, steps, trainer = fit(encoders, tmp_path, weights=weights)
    weight = torch.tensor(weights) if weights else None
    batches = [batch for batches, _ in steps for batch in batches]
    with torch.no_grad():
        expected = functional.cross_entropy(*word_scores(module, batches), weight=weight).item()
        means = [functional.cross_entropy(*word_scores(module, [batch]), weight=weight).item() for batch in batches]
    for stage in ("train", "val"):
        assert trainer.callback_metrics[f"{stage}/loss"].item() == pytest.approx(expected, abs=1e-6)
    assert sum(means) / len(means) != pytest.approx(expected, abs=1e-4)


def test_one_seed_gives_the_same_weights_and_another_gives_others(encoders, tmp_path):
    def weights(seed: int):
        seed_everything(seed, verbose=False)
        module = make_module("single", encoders("bert"), learning_rate=1e-3)
        make_trainer(tmp_path, max_epochs=2).fit(module, make_data("single"))
        return module.state_dict()

    first, second, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if "weight" in name and first[name].ndim > 1)


@pytest.mark.parametrize(
    ("kind", "precision"),
    # scores are not rounded: see test_refusals
    [(kind, f"bf16-{how}") for kind in ROWS for how in ("mixed", "true") if (kind, how) != ("score", "true")],
)
def test_the_loss_is_float32_under_half_precision(kind, precision, encoders, tmp_path):
    seen = []
    module = make_module(kind, encoders("bert"))
    module.loss.register_forward_hook(lambda loss, inputs, terms: seen.append((*inputs, terms)))
    trainer = make_trainer(tmp_path, precision=precision)
    trainer.fit(module, make_data(kind))
    for scores, targets, terms in seen:
        assert scores.dtype == torch.bfloat16
        assert terms.total.dtype == terms.weight.dtype == torch.float32
        exact = scores.double()
        if kind in ("single", "tags"):
            expected = functional.cross_entropy(exact.flatten(0, -2), targets.flatten(), reduction="sum")
        elif kind == "multi":
            expected = functional.binary_cross_entropy_with_logits(exact, targets.double(), reduction="sum")
        else:
            expected = (exact - targets.double()).square().sum()
        assert terms.total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert len(seen) == 4  # the sanity check's batch, two of training, one of validation
    terms = [terms for *_, terms in seen[1:3]]
    mean = sum(term.total.double() for term in terms) / sum(term.weight.double() for term in terms)
    assert trainer.callback_metrics["train/loss"].item() == pytest.approx(mean.item(), rel=1e-6)


class OwnStep(SingleLabelClassifier):
    """A module that backpropagates a mean of its own."""

    def training_step(self, batch, batch_index):
        return functional.cross_entropy(self(batch), batch.targets)


class Halt(Callback):
    """Ends a fit with an error after its first batch."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        raise KeyError("halt")


@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_fit_after_one_that_an_error_ended_is_as_the_first(accumulated, encoders, tmp_path):
    encoder, found = encoders("bert"), []
    for is_halted in (True, False):
        seed_everything(0, verbose=False)  # the head is drawn as the first fit begins
        module = make_module("tags", encoder, learning_rate=1e-30, encoder_options=NO_DROPOUT)
        if is_halted:
            trainer = make_trainer(tmp_path, callbacks=[Halt()], accumulate_grad_batches=2)
            with pytest.raises(KeyError, match="halt"):
                trainer.fit(module, make_data("tags", UNEVEN))
            copy.deepcopy(module)  # as callbacks that average weights make one
            module.network.encoder.gradient_checkpointing_enable()
        steps = Steps()
        trainer = make_trainer(tmp_path, callbacks=[steps], accumulate_grad_batches=accumulated, num_sanity_val_steps=0)
        trainer.fit(module, make_data("tags", UNEVEN, batch_size=2, group_by_length=False))
        found.append(steps.steps[0][1])
    torch.testing.assert_close(*found)


def test_gradients_of_a_step_of_ones_own_are_left_alone(encoders, tmp_path):
    module = OwnStep(str(encoders("bert")), encoder_options=NO_DROPOUT, learning_rate=1e-30)
    steps = Steps()
    make_trainer(tmp_path, callbacks=[steps], num_sanity_val_steps=0).fit(module, make_data("single"))
    (batch,), gradients = steps.steps[-1]
    module.zero_grad()
    functional.cross_entropy(module(batch), batch.targets).backward()
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-6, rtol=1e-5, msg=name)


def test_a_loss_that_is_nan_once_shows_in_the_epochs_mean(encoders, tmp_path):
    module = make_module("single", encoders("bert"))
    calls = []

    def spoil(loss, inputs, terms):
        calls.append(terms)
        return terms._replace(total=terms.total * float("nan")) if len(calls) == 2 else terms

    module.loss.register_forward_hook(spoil)
    trainer = make_trainer(tmp_path, num_sanity_val_steps=0)
    trainer.validate(module, make_data("single", eval_batch_size=2), verbose=False)
    assert len(calls) > 2
    assert trainer.callback_metrics["val/loss"].isnan()


class Penalised(SingleLabelClassifier):
    """A penalty on the weights of the head, added as `compute_loss` says."""

    def penalty(self):
        return 3 * sum(weight.square().sum() for weight in self.network.head.parameters())

    def compute_loss(self, scores, batch):
        terms = super().compute_loss(scores, batch)
        return LossTerms(terms.total + self.penalty() * terms.weight, terms.weight)


@pytest.mark.parametrize("accumulated", [1, 2, 3])
def test_a_penalty_counts_once_whatever_is_accumulated(accumulated, encoders, tmp_path):
    seed_everything(3, verbose=False)
    options = {"head": LinearHead(dropout=0.0), "class_weights": [0.5, 3.0, 1.0]}
    module = Penalised(str(encoders("bert")), encoder_options=NO_DROPOUT, learning_rate=1e-30, **options)
    steps = Steps()
    trainer = make_trainer(tmp_path, callbacks=[steps], num_sanity_val_steps=0, accumulate_grad_batches=accumulated)
    trainer.fit(module, make_data("single", batch_size=3, group_by_length=False))
    weight = torch.tensor([0.5, 3.0, 1.0])
    for batches, gradients in steps.steps:
        module.zero_grad()
        scores, targets = torch.cat([module(one) for one in batches]), torch.cat([one.targets for one in batches])
        (functional.cross_entropy(scores, targets, weight=weight) + module.penalty()).backward()
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-6, rtol=1e-5, msg=name)
