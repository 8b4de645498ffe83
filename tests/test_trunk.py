"""One encoder under several networks scores as each of them did alone, and is put together again for each."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch

from lightning_clf import LabelSpace
from lightning_clf.encoding import Collator, encode_words, load_tokenizer
from lightning_clf.heads import ArchitectureHead, CRFHead, LinearHead
from lightning_clf.network import Network
from lightning_clf.trunk import Trunk
from tests.tiny import ARCHITECTURES, CORPUS
from tests.training import LABELS

SENTENCES = [text.split() for text in CORPUS]


def make_networks(encoder, kinds, heads=None):
    """Networks on one encoder, and a batch of words that all can read."""
    tokenizer = load_tokenizer(str(encoder), words=True)
    columns = encode_words(tokenizer, SENTENCES, 32)
    columns["example_id"] = range(len(SENTENCES))
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    batch = Collator(tokenizer, LABELS["tags"])(rows)
    networks = {
        kind: Network.from_pretrained(
            str(encoder), (heads or {}).get(kind, ArchitectureHead)(), LABELS[kind], tokenizer
        )
        for kind in kinds
    }
    return {kind: network.eval() for kind, network in networks.items()}, batch


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_and_weights_are_those_of_each_alone(architecture, encoders):
    networks, batch = make_networks(encoders(architecture), ("single", "tags"))
    for network in networks.values():
        network.widen()  # of one token a layer rounds otherwise
    before = {kind: network(batch) for kind, network in networks.items()}
    states = {kind: copy.deepcopy(network.state_dict()) for kind, network in networks.items()}
    trunk = Trunk.under(networks.values()).eval()
    assert not {name for network in networks.values() for name in network.state_dict() if "embed" in name}
    for kind, network in networks.items():
        assert torch.equal(network(batch), before[kind])
        whole = trunk.whole(network)
        assert torch.equal(whole(batch), before[kind])
        assert list(whole.state_dict()) == list(states[kind])
        assert all(torch.equal(value, states[kind][name]) for name, value in whole.state_dict().items())
        assert whole.encoder.get_input_embeddings() is trunk.encoder.get_input_embeddings()
        assert whole.config.id2label == LABELS[kind].id2label
    assert trunk.encoder.training is False


def test_heads_of_ours_stand_beside_the_architectures_own(encoders):
    heads = {"multi": LinearHead, "tags": CRFHead}
    networks, batch = make_networks(encoders("bert"), ("single", "multi", "tags", "score"), heads)
    for network in networks.values():
        network.widen()
    before = {kind: network(batch) for kind, network in networks.items()}
    trunk = Trunk.under(networks.values())
    for kind, network in networks.items():
        assert torch.equal(network(batch), before[kind])
        assert torch.equal(trunk.whole(network).eval()(batch), before[kind])


@pytest.mark.parametrize("kinds", [("single", "tags", "multi"), ("tags", "single", "multi")])  # tags have no pooler
def test_no_more_than_two_encoders_are_there_at_a_time(kinds, encoders):
    seen = []

    def made():
        for kind in kinds:
            gc.collect()
            assert sum(body() is not None for body in seen) <= 1
            networks, _ = make_networks(encoders("bert"), (kind,))
            seen.append(weakref.ref(networks[kind].encoder.base_model))
            yield networks.pop(kind)

    trunk = Trunk.under(made())
    gc.collect()
    assert [body() for body in seen if body() is not None] == [trunk.encoder]


def test_nothing_cannot_be_put_on_one_encoder():
    with pytest.raises(ValueError, match="no network"):
        Trunk.under([])


def test_what_several_read_is_computed_once(encoders):
    networks, batch = make_networks(encoders("bert"), ("single", "tags"))
    trunk = Trunk.under(networks.values())
    calls = []
    trunk.encoder.register_forward_hook(lambda *_: calls.append(1))
    apart = [network(batch) for network in networks.values()]
    assert len(calls) == 2
    with trunk.shared(batch):
        together = [network(batch) for network in networks.values()]
        sum(scores.square().sum() for scores in together).backward()
    assert len(calls) == 3
    assert all(torch.equal(one, other) for one, other in zip(apart, together, strict=True))
    gradient = trunk.encoder.embeddings.word_embeddings.weight.grad.clone()
    trunk.zero_grad()
    for network in networks.values():
        network(batch).square().sum().backward()
    torch.testing.assert_close(gradient, trunk.encoder.embeddings.word_embeddings.weight.grad)


def test_another_batch_is_not_taken_for_the_shared_one(encoders):
    networks, batch = make_networks(encoders("distilbert"), ("single", "tags"))
    trunk = Trunk.under(networks.values())
    other = batch.to("cpu")
    other.inputs = {name: values.flip(0) for name, values in batch.inputs.items()}
    alone = networks["single"](other)
    with trunk.shared(batch):
        networks["single"](batch)
        assert torch.equal(networks["single"](other), alone)


def test_the_encoder_is_no_part_of_what_stands_on_it(encoders):
    networks, _ = make_networks(encoders("bert"), ("single", "tags"))
    Trunk.under(networks.values())
    sizes = {kind: sum(parameter.numel() for parameter in network.parameters()) for kind, network in networks.items()}
    assert sizes == {"single": 16 * 3 + 3, "tags": 16 * 5 + 5}
    assert LabelSpace.tags(["LOC", "PER"], "IOB2") == networks["tags"].labels


def test_a_deep_copy_stands_on_a_copy_of_the_encoder(encoders):
    networks, batch = make_networks(encoders("bert"), ("single", "tags"))
    both = torch.nn.ModuleDict({"trunk": Trunk.under(networks.values()), **networks})
    before = {kind: network(batch) for kind, network in networks.items()}
    copied = copy.deepcopy(both)
    for parameter in both["trunk"].parameters():
        torch.nn.init.zeros_(parameter)
    for kind, scores in before.items():
        assert torch.equal(copied[kind](batch), scores)
        assert not torch.equal(networks[kind](batch), scores)


def test_putting_together_leaves_what_is_frozen_in_its_mode(encoders):
    networks, _ = make_networks(encoders("bert"), ("single", "tags"))
    trunk = Trunk.under(networks.values()).train()
    trunk.encoder.embeddings.eval()
    modes = {name: module.training for name, module in trunk.named_modules()}
    for network in networks.values():
        trunk.whole(network.train())
    assert {name: module.training for name, module in trunk.named_modules()} == modes
