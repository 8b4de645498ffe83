"""The last layer of some tokens is that of all of them, seen from the head; what reads more tokens has them all."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from lightning_clf import LabelSpace, last_layer
from lightning_clf.batch import IGNORE, Batch
from lightning_clf.heads import ArchitectureHead, CRFHead, LinearHead, MLPHead
from lightning_clf.last_layer import narrow_to_first_token
from tests.tiny import ARCHITECTURES
from tests.training import make_module

INPUTS = {"input_ids": torch.arange(5, 29).view(3, 8), "attention_mask": torch.ones(3, 8, dtype=torch.long)}
INPUTS["attention_mask"][1, 5:] = 0
LABELS = LabelSpace.of(["bad", "fine", "good"], "single")
NARROWED = {"bert", "roberta", "electra", "xlm-roberta"}


class OwnForward(LinearHead):
    """A head that reads every token, whatever its pooling is called."""

    def forward(self, hidden, batch):
        return self.output(hidden.mean(1))


class OwnHidden(ArchitectureHead):
    """A head that looks at the encoder's output itself."""

    def hidden(self, output):
        return super().hidden(output)


def is_narrow(model) -> bool:
    """Whether the last layer's output is of one token."""
    return model.base_model(**INPUTS).last_hidden_state.shape[1] == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_and_gradients_are_those_of_the_whole_layer(architecture, encoders):
    results = []
    model = AutoModelForSequenceClassification.from_pretrained(encoders(architecture), num_labels=3).double()
    model.config.pad_token_id = 0
    for _ in range(2):
        logits = model(**INPUTS).logits
        logits.square().sum().backward()
        results.append({"logits": logits, **{name: weight.grad for name, weight in model.named_parameters()}})
        model.zero_grad()
        narrow_to_first_token(model)
    whole, narrowed = results
    assert is_narrow(model) == (architecture in NARROWED)
    for name, value in whole.items():
        torch.testing.assert_close(
            narrowed[name], value, atol=1e-12, rtol=1e-9, msg=lambda said, name=name: f"{name}: {said}"
        )


@pytest.mark.parametrize(
    ("kind", "head", "narrow"),
    [
        ("single", None, True),
        ("score", None, True),
        ("tags", None, False),
        ("single", LinearHead(), True),
        ("single", LinearHead(pooling="mean"), False),
        ("single", LinearHead(pooling="last"), False),
        ("tags", LinearHead(), False),
        ("single", MLPHead(), True),
        ("single", OwnForward(), False),
        ("single", OwnHidden(), False),
    ],
)
def test_only_what_reads_the_first_token_alone(kind, head, narrow, encoders):
    labels = {"single": LABELS, "score": LabelSpace.score(0, 5), "tags": LabelSpace.tags(["PER"], "IOB2")}[kind]
    module = make_module(kind, encoders("bert"), head=head, labels=labels.to_dict())
    module.build()
    assert is_narrow(module.network.encoder) == narrow


TAGS = LabelSpace.tags(["PER", "LOC"], "IOB2")
OPTIONS = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.fixture
def by_one(monkeypatch):
    """No tokens besides those that are read."""
    monkeypatch.setattr(last_layer, "_STEP", 1)


def words_batch(first: list[list[int]]) -> Batch:
    """A batch of words whose first subwords lie at these places of the flattened inputs."""
    width = max(len(row) for row in first)
    padded = torch.tensor([[*row, *[-1] * (width - len(row))] for row in first])
    counts = torch.tensor([len(row) for row in first])
    rows = torch.arange(len(first))
    targets = torch.where(padded >= 0, padded % len(TAGS), IGNORE)
    return Batch(INPUTS, rows, rows, targets=targets, first_subword=padded, word_counts=counts)


BATCH = words_batch([[1, 3, 4, 6], [9, 11], [17, 20, 22]])


def tagger(encoder: str, **options):
    """A module for tags, built and training, without dropout."""
    module = make_module("tags", encoder, labels=TAGS.to_dict(), encoder_options=OPTIONS, **options)
    module.build()
    return module.double().train()


def computed_rows(module, batch: Batch) -> int:
    """Of how many tokens the last layer's feed-forward part is computed."""
    seen = []
    layer = module.network.encoder.base_model.encoder.layer[-1]
    handle = layer.intermediate.register_forward_hook(lambda layer, given, output: seen.append(output.shape[:-1]))
    module.score(batch)
    handle.remove()
    return seen[0].numel()


@pytest.mark.parametrize("head", [None, LinearHead(dropout=0.0), CRFHead(dropout=0.0)])
@pytest.mark.parametrize("architecture", sorted(NARROWED))
def test_words_and_gradients_are_those_of_the_whole_layer(architecture, head, encoders, by_one):
    module = tagger(encoders(architecture), head=head)
    results, rows = [], []
    for _ in range(2):
        rows.append(computed_rows(module, BATCH))
        module.zero_grad()
        scores, terms = module.score(BATCH)
        terms.mean.backward()
        results.append((scores[BATCH.word_mask], {name: weight.grad for name, weight in module.named_parameters()}))
        module.network.widen()
    assert rows == [9, 24]
    (narrow, narrow_gradients), (whole, gradients) = results
    torch.testing.assert_close(narrow, whole, atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(narrow_gradients, gradients, atol=1e-12, rtol=1e-9)


def test_subwords_that_are_trained_are_computed(encoders, by_one):
    module = tagger(encoders("bert"), train_continuations=True)
    batch = replace(BATCH, word_ids=torch.tensor([[-1, 0, 0, 1, 2, 2, 3, -1], [-1, 0, 0, 1, -1, -1, -1, -1]] * 2)[:3])
    assert computed_rows(module, batch) == 6 + 3 + 6


@pytest.mark.parametrize(
    ("head", "rows"),
    [(LinearHead(pooling="mean"), 24), (OwnForward(), 24), (OwnHidden(), 24), (MLPHead(), 9), (None, 9)],
)
def test_only_what_reads_first_subwords_alone(head, rows, encoders, by_one):
    module = tagger(encoders("bert"), head=head)
    features = module.network.features(replace(BATCH, word_ids=torch.full((3, 8), -1)))
    if head is None:  # logits, which have a bias
        features = features - module.network.encoder.classifier.bias
    assert (features.abs().sum(-1) > 0).sum() == rows


def test_the_whole_layer_where_there_is_no_word_or_it_is_computed_again(encoders, by_one):
    module = tagger(encoders("bert"))
    assert computed_rows(module, words_batch([[-1], [-1], [-1]])) == 24
    with torch.no_grad():
        assert computed_rows(module, BATCH) == 24
    module.network.encoder.gradient_checkpointing_enable()
    _, terms = module.score(BATCH)
    terms.mean.backward()
    assert computed_rows(module, BATCH) == 24
    last = module.network.encoder.base_model.encoder.layer[-1]
    last.gradient_checkpointing = False  # the others are computed again by themselves
    assert computed_rows(module, BATCH) == 9
    module.score(BATCH)[1].mean.backward()
    module.network.encoder.gradient_checkpointing_disable()
    assert computed_rows(module, BATCH) == 9


def test_a_last_layer_that_was_exchanged_for_another_kind_is_computed_once(encoders):
    encoder = AutoModelForSequenceClassification.from_pretrained(encoders("bert"))
    assert last_layer.is_computed_once(encoder)
    encoder.base_model.encoder.layer[-1] = torch.nn.Identity()
    assert last_layer.is_computed_once(encoder)


def test_the_whole_layer_where_it_is_compiled(encoders, by_one):
    module = tagger(encoders("bert"), head=LinearHead())
    module.network.encoder.compile(backend="eager")
    assert (module.network.features(BATCH).abs().sum(-1) > 0).sum() == 24


def test_a_copy_and_what_is_packed_compute_on(encoders, by_one):
    module = tagger(encoders("bert"))
    wanted, _ = module.score(BATCH)
    assert computed_rows(copy.deepcopy(module), BATCH) == 9
    module.network.pack()
    packed, _ = module.score(BATCH)
    torch.testing.assert_close(packed[BATCH.word_mask], wanted[BATCH.word_mask], atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("made", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_that_is_widened_is_widened_alone(made, encoders, by_one):
    module = tagger(encoders("bert"))
    other = made(module)
    other.network.widen()
    assert computed_rows(other, BATCH) == 24
    assert computed_rows(module, BATCH) == 9


@pytest.mark.parametrize(("step", "rows"), [(4, 12), (5, 10), (16, 16), (64, 24)])
def test_the_number_of_tokens_is_rounded_up_and_changes_nothing(step, rows, encoders, monkeypatch):
    module = tagger(encoders("bert"))
    wanted, _ = module.score(BATCH)
    monkeypatch.setattr(last_layer, "_STEP", step)
    assert computed_rows(module, BATCH) == rows
    scores, _ = module.score(BATCH)
    torch.testing.assert_close(scores[BATCH.word_mask], wanted[BATCH.word_mask], atol=1e-12, rtol=1e-9)
