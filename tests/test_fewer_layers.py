"""An encoder with fewer layers has those it keeps, and is a stock model."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from lightning_clf.fewer_layers import kept_layers
from lightning_clf.finetuning.depth import parts_by_depth
from tests.tiny import ARCHITECTURES
from tests.training import LABELS, complaint, make_module


@pytest.mark.parametrize(
    ("wanted", "count", "kept"),
    [
        (6, 12, [0, 2, 4, 7, 9, 11]),  # those of DistilBERT's code
        (3, 12, [0, 6, 11]),
        (3, 6, [0, 3, 5]),
        (2, 6, [0, 5]),
        (1, 6, [0]),
        (4, 4, [0, 1, 2, 3]),
        ([1, 4], 6, [1, 4]),
    ],
)
def test_which_layers_are_kept(wanted, count, kept):
    assert kept_layers(wanted, count) == kept


@pytest.mark.parametrize("wanted", [0, 7, -1, [], [1, 1], [3, 2], [0, 6], [-1]])
def test_layers_there_are_not(wanted):
    said = complaint(lambda: kept_layers(wanted, 6))
    assert said.startswith(f"model.encoder_layers is {wanted}, and the encoder has 6 layers: ")


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A saved encoder of six layers of an architecture, whose layers are told apart, and the model that was saved."""
    made = {}

    def make(architecture):
        if architecture not in made:
            config, tokenizer = ARCHITECTURES[architecture]()
            config.num_hidden_layers = 6
            config.pad_token_id = config.pad_token_id if tokenizer.pad_token else tokenizer.eos_token_id
            if getattr(config, "layer_types", None):
                kinds = sorted({"full_attention", *config.layer_types})
                config.layer_types = [kinds[number % len(kinds)] for number in range(6)]
            config.id2label = LABELS["single"].id2label
            config.label2id = {name: index for index, name in config.id2label.items()}
            torch.manual_seed(0)
            model = AutoModelForSequenceClassification.from_config(config).eval()
            folder = tmp_path_factory.mktemp(architecture)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            made[architecture] = folder, model
        return made[architecture]

    return make


def built(folder, layers, **options):
    module = make_module("single", folder, encoder_layers=layers, labels=LABELS["single"].to_dict(), **options)
    module.build()
    module.network.eval()
    return module


@pytest.mark.parametrize("layers", [3, [0, 1, 4]])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_computes_what_the_encoder_without_the_other_layers_does(architecture, layers, deep, tmp_path):
    folder, whole = deep(architecture)
    module = built(folder, layers)
    module.max_length = 32
    kept = kept_layers(layers, 6)
    student = module.network.encoder
    assert student.config.num_hidden_layers == 3
    if architecture != "albert":  # which has one layer, computed again and again
        ours, theirs = ([parts[0] for parts in parts_by_depth(model)[1:]] for model in (student, whole))
        assert len(ours) == 3
        for layer, number in zip(ours, kept, strict=True):
            torch.testing.assert_close(layer.state_dict(), theirs[number].state_dict(), atol=0, rtol=0)
    if types := getattr(whole.config, "layer_types", None):
        assert list(student.config.layer_types) == [types[number] for number in kept]
    module.export(tmp_path / "export")
    stock = AutoModelForSequenceClassification.from_pretrained(tmp_path / "export").eval()
    inputs = AutoTokenizer.from_pretrained(tmp_path / "export")(
        ["a great joy", "dull"], padding=True, return_tensors="pt"
    )
    with torch.inference_mode():
        expected = by_hand(whole, kept)(**inputs).logits
        torch.testing.assert_close(stock(**inputs).logits, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(student(**inputs).logits, expected, atol=1e-5, rtol=1e-5)


def by_hand(whole, kept):
    """The model with the other layers taken out of it as it stands."""
    config = type(whole.config).from_dict(whole.config.to_dict())
    model = type(whole)(config).eval()
    model.load_state_dict(whole.state_dict())
    config = model.config
    if types := getattr(config, "layer_types", None):
        config.layer_types = [types[number] for number in kept]
    config.num_hidden_layers, config.use_cache = len(kept), False  # which knows layers by their old numbers
    if config.model_type == "albert":
        return model
    layers = [parts[0] for parts in parts_by_depth(model)[1:]]
    ((parent, name),) = [
        (module, name)
        for module in model.modules()
        for name, child in module.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == 6 and child[0] is layers[0]
    ]
    setattr(parent, name, nn.ModuleList([layers[number] for number in kept]))
    return model


def test_all_layers_are_the_encoder_itself(deep):
    folder, whole = deep("bert")
    module = built(folder, 6)
    torch.testing.assert_close(module.network.encoder.state_dict(), whole.state_dict(), atol=0, rtol=0)


def test_a_layer_that_cannot_be_the_first(deep):
    said = complaint(lambda: built(deep("modernbert")[0], [1, 3]))
    assert said == (
        "model.encoder_layers [1, 3] makes no modernbert, whose layers are not all alike: keep layer 0, or give a "
        "number"
    )


def test_more_layers_than_there_are_is_said_of_the_key(deep):
    assert complaint(lambda: built(deep("bert")[0], 7)).startswith("model.encoder_layers is 7, and the encoder has 6")
