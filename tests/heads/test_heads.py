"""Heads: shapes by kind, where dropout acts, that everything learns, and the architecture's own head word by word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from lightning_clf.batch import Batch
from lightning_clf.component import from_spec
from lightning_clf.encoding import Collator, Tokenizer, encode_texts, encode_words, load_tokenizer
from lightning_clf.errors import InputError
from lightning_clf.heads import ArchitectureHead, Head, LinearHead, MLPHead
from lightning_clf.labels import LabelSpace
from lightning_clf.network import Network

KINDS = {
    "single": (LabelSpace.of("abc", "single"), (3, 3)),
    "multi": (LabelSpace.of("abcde", "multi"), (3, 5)),
    "tags": (LabelSpace.tags(["PER"], "IOB2"), (3, 4, 3)),
    "score": (LabelSpace.score(0, 5), (3,)),
}
by_kind = pytest.mark.parametrize("kind", KINDS)
own_heads = pytest.mark.parametrize("make", [LinearHead, MLPHead])


@by_kind
@own_heads
def test_shapes(make: type[LinearHead], kind: str, config: Any, hidden: torch.Tensor, batch: Batch) -> None:
    labels, shape = KINDS[kind]
    head = make()
    head.attach(config, labels)
    assert head(hidden, batch).shape == shape
    low = head.bfloat16()(hidden.bfloat16(), batch)
    assert (low.shape, low.dtype) == (shape, torch.bfloat16)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "attention", "last"])
@own_heads
def test_a_head_is_its_layers_on_the_pooled_text(
    make: type[LinearHead], pooling: Any, config: Any, hidden: torch.Tensor, batch: Batch
) -> None:
    head = make(pooling=pooling)
    head.attach(config, KINDS["single"][0])
    head.eval()
    expected = head.pooling(hidden, batch)
    layers = [head.output] if make is LinearHead else [head.output[0], torch.nn.functional.gelu, head.output[-1]]
    for layer in layers:
        expected = layer(expected)
    torch.testing.assert_close(head(hidden, batch), expected)
    assert head.bfloat16()(hidden.bfloat16(), batch).dtype == torch.bfloat16


@by_kind
@own_heads
def test_everything_learns(make: type[LinearHead], kind: str, config: Any, hidden: torch.Tensor, batch: Batch) -> None:
    torch.manual_seed(0)
    pooling = "mean" if kind == "tags" else "attention"
    head = make(pooling=pooling, dropout=0.0)
    head.attach(config, KINDS[kind][0])
    hidden.requires_grad_()
    head(hidden, batch).square().sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    assert hidden.grad.abs().sum() > 0


@own_heads
def test_dropout_acts_in_training_alone(
    make: type[LinearHead], config: Any, hidden: torch.Tensor, batch: Batch
) -> None:
    torch.manual_seed(0)
    head = make(dropout=0.5)
    head.attach(config, KINDS["single"][0])
    assert not torch.equal(head(hidden, batch), head(hidden, batch))
    head.eval()
    assert torch.equal(head(hidden, batch), head(hidden, batch))
    assert [layer.p for layer in head.modules() if isinstance(layer, torch.nn.Dropout)] == [0.5] * (
        1 if make is LinearHead else 2
    )


def test_the_width_of_the_hidden_layer(config: Any) -> None:
    for given, width in ((None, 4), (9, 9)):
        head = MLPHead(hidden_features=given)
        head.attach(config, KINDS["single"][0])
        assert [tuple(layer.weight.shape) for layer in head.modules() if isinstance(layer, torch.nn.Linear)] == [
            (width, 4),
            (3, width),
        ]


@pytest.mark.parametrize("width", [-4, 0])
def test_a_hidden_layer_without_width_is_refused(width: int) -> None:
    with pytest.raises(InputError, match=f"hidden_features is {width}: give 1 or more"):
        MLPHead(hidden_features=width)


@pytest.mark.parametrize(
    ("kind", "pooling", "message"), [("tags", "cls", "does not pool words"), ("single", "first", "does not pool texts")]
)
def test_a_pooling_for_the_other_unit_is_refused(kind: str, pooling: Any, message: str, config: Any) -> None:
    with pytest.raises(InputError, match=message):
        LinearHead(pooling=pooling).attach(config, KINDS[kind][0])


def test_words_are_asked_of_a_batch_of_texts(config: Any, hidden: torch.Tensor, batch: Batch) -> None:
    batch.first_subword = None
    head = LinearHead()
    head.attach(config, KINDS["tags"][0])
    with pytest.raises(TypeError, match="this batch has no words"):
        head(hidden, batch)


@pytest.mark.parametrize("head", [ArchitectureHead(), LinearHead("max", dropout=0.3), MLPHead(hidden_features=5)])
def test_a_head_is_made_again_from_its_specification(head: Head, config: Any) -> None:
    again = from_spec(head.spec(), Head)
    assert again.spec() == head.spec()
    for each in (head, again):
        each.attach(config, KINDS["single"][0])
    assert str(again) == str(head)


def collate(tokenizer: Tokenizer, labels: LabelSpace, columns: dict[str, list[Any]]) -> Batch:
    """A batch of everything encoded."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Collator(tokenizer, labels)([{**row, "example_id": number} for number, row in enumerate(rows)])


SENTENCES = [["Anna", "sleeps", "\ufe0f", "Donaudampfschifffahrt"], ["", "Berg"], []]


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert"])
def test_the_architectures_head_is_read_at_first_subwords(encoders: Callable[[str], Path], architecture: str) -> None:
    folder = str(encoders(architecture))
    labels = KINDS["tags"][0]
    tokenizer = load_tokenizer(folder, words=True)
    network = Network.from_pretrained(folder, ArchitectureHead(), labels, tokenizer).eval()
    assert isinstance(network.encoder, AutoModelForTokenClassification._model_mapping[type(network.config)])
    columns = encode_words(tokenizer, SENTENCES, 64)
    batch = collate(tokenizer, labels, columns)
    with torch.no_grad():
        scores = network(batch)
        by_subword = network.encoder(**batch.inputs).logits
    assert scores.shape == (3, 4, 3)
    for row, word_ids in enumerate(columns["word_ids"]):
        for word in {owner for owner in word_ids if owner >= 0}:
            assert torch.equal(scores[row, word], by_subword[row, word_ids.index(word)])
    assert network.predict(batch).indices[2].tolist() == [labels.outside] * 4


@pytest.mark.parametrize("kind", ["single", "multi", "score"])
def test_the_architectures_head_gives_its_own_logits_for_texts(encoders: Callable[[str], Path], kind: str) -> None:
    folder = str(encoders("bert"))
    labels = KINDS[kind][0]
    tokenizer = load_tokenizer(folder)
    network = Network.from_pretrained(folder, ArchitectureHead(), labels, tokenizer).eval()
    assert isinstance(network.encoder, AutoModelForSequenceClassification._model_mapping[type(network.config)])
    batch = collate(tokenizer, labels, encode_texts(tokenizer, ["a film", "", "a"], None, 16))
    with torch.no_grad():
        logits = network.encoder(**batch.inputs).logits
        assert torch.equal(network(batch), logits[:, 0] if kind == "score" else logits)
