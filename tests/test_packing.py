"""What an encoder gives without padding is what it gives with it, forwards and backwards, for every kind of batch."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from torch.nn.attention.varlen import varlen_attn
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    CamembertConfig,
    PretrainedConfig,
)

from lightning_clf import packing
from lightning_clf.errors import InputError
from lightning_clf.last_layer import narrow_to_first_token
from lightning_clf.packing import ATTENTION, Packing, pack
from tests.tiny import ARCHITECTURES

VERIFIED = ["bert", "camembert", "distilbert", "electra", "modernbert", "roberta", "xlm-roberta"]
NARROWED = {"bert", "camembert", "electra", "roberta", "xlm-roberta"}
CLASSES = [AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification]
LENGTHS = {"mixed": [1, 9, 4, 9, 6], "all padded": [3, 7, 1], "one": [8], "equal": [5, 5, 5], "one of one": [1]}
HEADS, WINDOW, LAYERS = 2, 2, 3


def config_of(architecture: str, *, dropout: float = 0.0) -> PretrainedConfig:
    """Three layers, of which ModernBERT's last two look two tokens far."""
    if architecture == "camembert":
        config = CamembertConfig(
            vocab_size=100, hidden_size=16, num_attention_heads=HEADS, intermediate_size=32, pad_token_id=1
        )
    else:
        config, _ = ARCHITECTURES[architecture]()
    config.num_hidden_layers = LAYERS
    if architecture == "modernbert":
        config.sliding_window = WINDOW
        config.layer_types = ["full_attention", "sliding_attention", "sliding_attention"]
    for name in list(vars(config)):
        if name.endswith(("dropout", "dropout_prob")):
            setattr(config, name, dropout if "att" in name else 0.0)
    return config


def make(architecture: str, model_class=AutoModelForTokenClassification, **options):
    """An encoder in float64 whose tokens differ: weights of its own are so small that they would not."""
    torch.manual_seed(0)
    model = model_class.from_config(config_of(architecture, **options)).double().train()
    for name, weight in model.named_parameters():
        if weight.dim() > 1 and "embedding" not in name:
            weight.data.mul_(8)
    return model


def inputs_of(model, lengths: list[int], *, more: int = 0) -> dict[str, torch.Tensor]:
    """Random texts of these lengths, padded to the longest and beyond; two segments where an encoder knows them."""
    generator = torch.Generator().manual_seed(len(lengths))
    mask = torch.arange(max(lengths) + more) < torch.tensor(lengths)[:, None]
    ids = torch.randint(5, 60, mask.shape, generator=generator).where(mask, model.config.pad_token_id)
    inputs = {"input_ids": ids, "attention_mask": mask.long()}
    if getattr(model.config, "type_vocab_size", 1) > 1:
        inputs["token_type_ids"] = (torch.arange(mask.shape[1]) >= 3).long().expand_as(ids)
    return inputs


def computed(model, inputs) -> dict[str, torch.Tensor]:
    """What a head would read, and the gradients of a sum over it that tells its places apart."""
    model.zero_grad()
    output = model(**inputs)
    seen = output.logits if "logits" in output else output.last_hidden_state
    if seen.dim() == 3:
        seen = seen * inputs["attention_mask"][:, : seen.shape[1], None]
    (seen * torch.linspace(-1, 1, seen.numel()).view_as(seen).to(seen.device)).sum().backward()
    return {"seen": seen.detach(), **{name: weight.grad for name, weight in model.named_parameters()}}


def assert_same(one, other, atol=1e-6):  # ModernBERT rounds to float32 on the way
    assert one.keys() == other.keys()
    for name, value in one.items():
        if value is None:  # as a pooler that nothing reads
            assert other[name] is None
            continue
        torch.testing.assert_close(
            other[name], value, atol=atol, rtol=1e-6, msg=lambda said, name=name: f"{name}: {said}"
        )


def noted(model) -> list[torch.Size]:
    """The shapes that each layer's feed-forward part is given, as they come."""
    shapes: list[torch.Size] = []
    for name, part in model.base_model.named_modules():
        if name.rpartition(".")[2] in ("intermediate", "ffn", "mlp"):
            part.register_forward_pre_hook(lambda part, given: shapes.append(given[0].shape[:2]))
    return shapes


def test_each_that_is_said_to_be_verified_is():
    assert sorted(packing._LAYERS) == VERIFIED


@pytest.mark.parametrize("model_class", CLASSES)
@pytest.mark.parametrize("architecture", VERIFIED)
def test_the_same_forwards_and_backwards(architecture, model_class):
    model = make(architecture, model_class)
    batches = [inputs_of(model, lengths, more=2 if name == "all padded" else 0) for name, lengths in LENGTHS.items()]
    wanted = [computed(model, inputs) for inputs in batches]
    assert wanted[0]["seen"].abs().max() > 1e-3
    pack(model, narrowed=False)
    shapes = noted(model)
    for inputs, expected in zip(batches, wanted, strict=True):
        assert_same(expected, computed(model, inputs))
        assert shapes == [(1, inputs["attention_mask"].sum())] * LAYERS
        shapes.clear()


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("architecture", sorted(NARROWED))
def test_with_a_last_layer_of_the_first_token(architecture, checkpointed):
    model = make(architecture, AutoModelForSequenceClassification)
    inputs = inputs_of(model, LENGTHS["mixed"])
    wanted = computed(model, inputs)
    assert narrow_to_first_token(model)
    pack(model, narrowed=True)
    shapes = noted(model)
    if checkpointed:
        model.gradient_checkpointing_enable()
    assert_same(wanted, computed(model, inputs))
    assert shapes[:LAYERS] == [*[(1, 29)] * (LAYERS - 1), (5, 1)]
    assert len(shapes) == LAYERS * (1 + checkpointed)  # computed once more in the backward pass


def test_hidden_states_of_padding_are_zeros():
    model = make("bert", AutoModel)
    pack(model, narrowed=False)
    inputs = inputs_of(model, LENGTHS["mixed"])
    is_zero = (model(**inputs).last_hidden_state == 0).all(-1)
    assert torch.equal(is_zero, inputs["attention_mask"] == 0)


def test_where_the_tokens_are():
    found = Packing.of(torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1]]))
    assert found.places.tolist() == [0, 1, 3, 6, 7, 8]
    assert found.bounds.tolist() == [0, 2, 3, 6]
    assert found.bounds.dtype == torch.int32  # which kernels ask for
    padded = torch.arange(18.0).view(3, 3, 2)
    assert found.pack(padded).shape == (1, 6, 2)
    assert torch.equal(found.unpack(found.pack(padded)), padded * found.mask[..., None])


@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
def test_the_kernel_is_given_what_it_asks_for(architecture, monkeypatch):
    """A kernel of the GPU's has the place of its own here: each text by itself, as plain as can be."""
    calls = []

    def kernel(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale, window_size):
        inspect.signature(varlen_attn).bind(
            query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, scale=scale, window_size=window_size
        )
        calls.append(window_size)
        assert query.shape == key.shape == value.shape == (29, HEADS, 8)
        assert all(states.is_contiguous() for states in (query, key, value))
        assert (max_q, max_k, cu_seq_q.tolist()) == (9, 9, cu_seq_k.tolist())
        texts = []
        for begin, end in zip(cu_seq_q[:-1].tolist(), cu_seq_q[1:].tolist(), strict=True):
            place = torch.arange(end - begin)
            far = (place[:, None] - place).abs() > (window_size[0] if window_size[0] >= 0 else end)
            scores = torch.einsum("qhd,khd->hqk", query[begin:end], key[begin:end]) * scale
            weights = scores.masked_fill(far, -torch.inf).softmax(-1)
            texts.append(torch.einsum("hqk,khd->qhd", weights, value[begin:end]))
        return torch.cat(texts)

    model = make(architecture)
    inputs = inputs_of(model, LENGTHS["mixed"])
    wanted = computed(model, inputs)
    pack(model, narrowed=False)
    monkeypatch.setattr(packing, "_has_kernel", lambda query, dropout: True)
    monkeypatch.setattr(packing, "varlen_attn", kernel)
    assert_same(wanted, computed(model, inputs))
    assert calls == [(-1, -1), *[(WINDOW, WINDOW) if architecture == "modernbert" else (-1, -1)] * (LAYERS - 1)]


class OnGPU:
    """Queries of 16 bits on a GPU, as far as they are looked at."""

    is_cuda, dtype, shape, device = True, torch.bfloat16, (1, 29, 2, 64), "cuda:0"


@pytest.mark.parametrize(
    ("changes", "dropout", "capability", "kernel"),
    [
        ({}, 0.0, (8, 0), True),
        ({"dtype": torch.float16}, 0.0, (9, 0), True),
        ({"is_cuda": False}, 0.0, (8, 0), False),
        ({"dtype": torch.float32}, 0.0, (8, 0), False),
        ({"shape": (1, 29, 2, 60)}, 0.0, (8, 0), False),
        ({"shape": (1, 29, 2, 264)}, 0.0, (8, 0), False),
        ({}, 0.1, (8, 0), False),
        ({}, 0.0, (7, 5), False),
    ],
)
def test_when_the_kernel_is_taken(changes, dropout, capability, kernel, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    query = type("Query", (OnGPU,), changes)()
    assert packing._has_kernel(query, dropout) == kernel


@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
def test_dropout_within_attention(architecture):
    model = make(architecture, AutoModel, dropout=0.5)
    pack(model, narrowed=False)
    inputs = inputs_of(model, LENGTHS["mixed"])
    first, second = (model(**inputs).last_hidden_state for _ in range(2))
    assert not torch.allclose(first, second, atol=1e-2)
    first, second = (model.eval()(**inputs).last_hidden_state for _ in range(2))
    assert torch.equal(first, second)


def test_under_autocast():
    model = make("modernbert").float()
    inputs = inputs_of(model, LENGTHS["mixed"])
    with torch.autocast("cpu", torch.bfloat16):
        wanted = computed(model, inputs)
        pack(model, narrowed=False)
        found = computed(model, inputs)
    assert found["seen"].dtype == wanted["seen"].dtype == torch.bfloat16
    assert_same({"seen": wanted["seen"]}, {"seen": found["seen"]}, atol=0.02 * wanted["seen"].abs().max().item())


def test_a_copy_is_packed_by_itself():
    model = make("bert")
    inputs = inputs_of(model, LENGTHS["mixed"])
    pack(model, narrowed=False)
    copied = copy.deepcopy(model)
    assert_same(computed(model, inputs), computed(copied, inputs))
    before = model(**inputs).logits
    for weight in copied.parameters():
        weight.data.zero_()
    assert torch.equal(model(**inputs).logits, before)


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - set(VERIFIED)))
def test_other_architectures_are_refused(architecture):
    config, _ = ARCHITECTURES[architecture]()
    model = AutoModel.from_config(config)
    before = model.config._attn_implementation
    with pytest.raises(InputError) as caught:
        pack(model, narrowed=False)
    assert str(caught.value) == (
        f"model.packed is not for {config.model_type} as this encoder has it: leave it out, or choose an encoder of "
        "bert, camembert, distilbert, electra, modernbert, roberta, xlm-roberta"
    )
    assert model.config._attn_implementation == before != ATTENTION


def test_a_decoder_is_refused():
    config = config_of("bert")
    config.is_decoder = True
    with pytest.raises(InputError, match=r"model\.packed is not for bert as this encoder has it"):
        pack(AutoModel.from_config(config), narrowed=False)
