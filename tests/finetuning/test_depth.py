"""How deep each parameter of each architecture lies, by name."""

from __future__ import annotations

import pytest
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, BertConfig

from lightning_clf.finetuning.depth import depths, parts_by_depth
from tests.tiny import ARCHITECTURES
from tests.training import complaint

LAYER = {
    "distilbert": "transformer.layer.{}.",
    "albert": "encoder.albert_layer_groups.{}.",
    "modernbert": "layers.{}.",
    "qwen3": "layers.{}.",
}
# what is neither in `embeddings` nor in a layer, and feeds the layers; and what stands above them, within the body
BELOW = {
    "electra": {"embeddings_project.weight", "embeddings_project.bias"},
    "deberta-v2": {"encoder.rel_embeddings.weight"},
    "albert": {"encoder.embedding_hidden_mapping_in.weight", "encoder.embedding_hidden_mapping_in.bias"},
    "mpnet": {"encoder.relative_attention_bias.weight"},
    "qwen3": {"embed_tokens.weight"},
}
ABOVE = {
    "bert": {"pooler.dense.weight", "pooler.dense.bias"},
    "albert": {"pooler.weight", "pooler.bias"},
    "modernbert": {"final_norm.weight"},
    "qwen3": {"norm.weight"},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_has_its_depth(architecture):
    model = AutoModelForSequenceClassification.from_config(ARCHITECTURES[architecture]()[0])
    found, layer = depths(model), LAYER.get(architecture, "encoder.layer.{}.")
    layers = 1 if architecture == "albert" else 2
    body = dict(model.base_model.named_parameters())
    above = set()
    for name, parameter in body.items():
        if name in BELOW.get(architecture, ()) or name.startswith("embeddings."):
            assert found[id(parameter)] == 0, name
        elif id(parameter) in found:
            depth = found[id(parameter)]
            assert name.startswith(layer.format(depth - 1)), name
            assert 1 <= depth <= layers
        else:
            above.add(name)
    assert above == ABOVE.get(architecture, set())
    assert len(found) == len(body) - len(above)  # the head's own are not in it
    assert set(found.values()) == set(range(layers + 1))


def test_a_bare_encoder_is_read_as_one_with_a_head():
    model = AutoModel.from_config(ARCHITECTURES["bert"]()[0])
    assert sorted(set(depths(model).values())) == [0, 1, 2]


def test_what_deberta_has_beside_its_relative_positions():
    config = ARCHITECTURES["deberta-v2"]()[0]
    config.conv_kernel_size, config.conv_act, config.norm_rel_ebd = 3, "gelu", "layer_norm"
    body = AutoModel.from_config(config)
    found, names = depths(body), dict(body.named_parameters())
    assert found[id(names["encoder.LayerNorm.weight"])] == 0
    assert found[id(names["encoder.conv.conv.weight"])] == 1


def test_an_encoder_of_no_layers():
    body = AutoModel.from_config(BertConfig(num_hidden_layers=0, hidden_size=8, num_attention_heads=1))
    assert len(parts_by_depth(body)) == 1


def test_architectures_that_cannot_be_read():
    tiny = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 9}
    two = AutoModel.from_config(AutoConfig.for_model("t5", **tiny))
    assert complaint(lambda: parts_by_depth(two)) == (
        "model.finetuning cannot tell the layers of t5 apart (it has 2 lists of layers, not one): leave it out, or "
        "choose another encoder"
    )
    odd = AutoModel.from_config(ARCHITECTURES["bert"]()[0])
    odd.encoder.adapter = nn.Linear(2, 2)
    assert "(its part 'adapter' may lie below or above them)" in complaint(lambda: parts_by_depth(odd))
    loose = AutoModel.from_config(ARCHITECTURES["bert"]()[0])
    loose.scale = nn.Parameter(loose.pooler.dense.bias.detach())
    assert "(its part 'scale' may lie below or above them)" in complaint(lambda: parts_by_depth(loose))
