"""Attention with dropout is PyTorch's own, its gradients too, when every weight is kept; and drops weights else."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lightning_clf.cpu import masks
from lightning_clf.cpu.attention import attention

MASKS = {
    "none": None,
    "bool": torch.tensor([[True, True, False, True, False]]).expand(5, 5)[None, None],
    "bool of each text": torch.tensor([[True] * 5, [True, True, True, False, False]])[:, None, None],
    "float": torch.linspace(-3, 3, 25).view(1, 1, 5, 5),
}


@pytest.fixture
def every_weight_is_kept(monkeypatch):
    monkeypatch.setattr(masks, "draw", lambda shape, p: torch.full(shape, -1, dtype=torch.int16))
    monkeypatch.setattr(masks, "scale_of", lambda p: 1.0)


def given(dtype, *, length=5, laid_out=lambda tensor: tensor):
    torch.manual_seed(0)
    return [laid_out(torch.randn(2, 3, length, 8, dtype=dtype)).requires_grad_() for _ in range(3)]


def outcome(function, tensors, **options):
    output = function(*tensors, **options)
    output.float().square().sum().backward()
    return [output.detach(), *(tensor.grad for tensor in tensors)]


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.usefixtures("every_weight_is_kept")
def test_attention_is_that_of_pytorch(mask, scale):
    expected = outcome(
        functional.scaled_dot_product_attention, given(torch.float32), attn_mask=MASKS[mask], scale=scale
    )
    found = outcome(attention, given(torch.float32), attn_mask=MASKS[mask], dropout_p=0.5, scale=scale)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.usefixtures("every_weight_is_kept")
def test_heads_may_lie_in_memory_as_projections_leave_them():
    def laid_out(tensor):
        return tensor.transpose(1, 2).contiguous().transpose(1, 2)

    expected = outcome(attention, given(torch.float32), dropout_p=0.5)
    torch.testing.assert_close(outcome(attention, given(torch.float32, laid_out=laid_out), dropout_p=0.5), expected)


@pytest.mark.usefixtures("every_weight_is_kept")
def test_bfloat16_is_as_near_to_the_truth_as_pytorchs():
    assert_as_near_as(functional.scaled_dot_product_attention, length=5)


@pytest.mark.parametrize("length", [16, 40])
@pytest.mark.usefixtures("every_weight_is_kept")
def test_bfloat16_is_as_near_to_the_truth_as_attention_written_out(length):
    # PyTorch's own keeps scores and weights in float32, which counts the more the longer a text is
    def written_out(query, key, value):
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        return scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value

    assert_as_near_as(written_out, length=length)


def assert_as_near_as(reference, *, length):
    exact = outcome(
        functional.scaled_dot_product_attention,
        [one.double().detach().requires_grad_() for one in given(torch.bfloat16, length=length)],
    )
    ours = outcome(attention, given(torch.bfloat16, length=length), dropout_p=0.5)
    theirs = outcome(reference, given(torch.bfloat16, length=length))
    for mine, other, true in zip(ours, theirs, exact, strict=True):
        assert mine.dtype == torch.bfloat16
        assert (mine - true).norm() < max(1.5 * (other - true).norm(), 2**-8 * true.norm())


@pytest.mark.parametrize("length", [5, 40])
@pytest.mark.parametrize("largest", [2.0, 20.0, 80.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_without_dropout_it_is_as_near_to_the_truth_as_pytorchs(dtype, largest, length):
    def tensors(dtype):
        torch.manual_seed(0)
        made = [torch.randn(2, 3, length, 16) for _ in range(3)]
        size = float((made[0] @ made[1].transpose(2, 3)).abs().max()) / 4
        scaled = [made[0] * (largest / size) ** 0.5, made[1] * (largest / size) ** 0.5, made[2]]
        return [one.to(torch.bfloat16).to(dtype).requires_grad_() for one in scaled]

    mask = torch.zeros(2, 1, 1, length)
    mask[0, ..., -2:] = torch.finfo(torch.float16).min
    exact = outcome(functional.scaled_dot_product_attention, tensors(torch.float64), attn_mask=mask.double())
    ours = outcome(attention, tensors(dtype), attn_mask=mask)
    theirs = outcome(functional.scaled_dot_product_attention, tensors(dtype), attn_mask=mask.to(dtype))
    for mine, other, true in zip(ours, theirs, exact, strict=True):
        assert mine.dtype == dtype
        assert (mine - true).norm() < max(1.5 * (other - true).norm(), torch.finfo(dtype).eps * true.norm())


def test_without_dropout_no_score_is_too_large():
    query = torch.full((1, 1, 4, 64), 200.0).half().requires_grad_()
    output = attention(query, query, query)
    output.sum().backward()
    assert output.isfinite().all()
    assert query.grad.isfinite().all()


@pytest.mark.parametrize(
    ("dtype", "length", "is_learnt", "expected"),
    [
        (torch.bfloat16, 192, True, True),
        (torch.bfloat16, 193, True, False),  # PyTorch's own is faster from about here on
        (torch.bfloat16, 8, False, False),
        (torch.float32, 8, True, False),
        (torch.float64, 8, True, False),
    ],
)
def test_without_dropout_the_gradient_is_ours_where_pytorchs_is_slow(dtype, length, is_learnt, expected):
    tensors = [torch.randn(1, 1, length, 4, dtype=dtype, requires_grad=is_learnt) for _ in range(3)]
    output = attention(*tensors)
    assert (output.grad_fn is not None and output.grad_fn.name() == "_WholeAttentionBackward") == expected
    with torch.no_grad():
        assert attention(*tensors).grad_fn is None
    with torch.autocast("cpu", torch.bfloat16):  # which narrows what comes in, but for float64
        narrowed = attention(*tensors)
    assert (narrowed.grad_fn is not None and narrowed.grad_fn.name() == "_WholeAttentionBackward") == (
        is_learnt and length <= 192 and dtype != torch.float64
    )
    assert narrowed.dtype == (torch.float64 if dtype == torch.float64 else torch.bfloat16)


def test_gradients_with_weights_dropped(monkeypatch):
    # masks that depend on the shape alone, so that finite differences see the same at each call
    def draw(shape, p):
        generator = torch.Generator().manual_seed(3)
        return -(torch.rand(shape, generator=generator) >= p).to(torch.int16)

    monkeypatch.setattr(masks, "draw", draw)
    tensors = [torch.randn(2, 2, 4, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    weights = (tensors[0] @ tensors[1].transpose(-2, -1) * 3**-0.5).softmax(-1)
    kept = weights * (draw(torch.Size((4, 4, 4)), 0.3).view(weights.shape) == -1) * masks.scale_of(0.3)
    expected = kept @ tensors[2]
    output = attention(*tensors, dropout_p=0.3)
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=1e-5)
    for found, true in zip(
        torch.autograd.grad(output.sin().sum(), tensors),
        torch.autograd.grad(expected.sin().sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(found, true, atol=1e-6, rtol=1e-5)


def test_autocast_narrows_what_comes_in():
    with torch.autocast("cpu", torch.bfloat16):
        output = attention(*given(torch.float32), dropout_p=0.1)
    assert output.dtype == torch.bfloat16


@pytest.mark.parametrize("length", [8, 48])  # below and above which rows of a softmax are widened
def test_under_autocast_what_is_computed_is_that_of_narrowed_tensors(length):
    torch.manual_seed(0)
    wide = [torch.randn(2, 2, length, 8).requires_grad_() for _ in range(3)]
    narrow = [tensor.detach().bfloat16().requires_grad_() for tensor in wide]
    with torch.autocast("cpu", torch.bfloat16):
        found = attention(*wide)
    expected = attention(*narrow)
    for output in (found, expected):
        output.float().square().sum().backward()
    assert found.grad_fn.name() == "_WholeAttentionBackward"
    assert found.equal(expected)
    for one, other in zip(wide, narrow, strict=True):
        assert one.grad.equal(other.grad.float())


def test_attention_drops_weights_and_keeps_their_mean():
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 1, 4, 8).expand(20_000, 1, 4, 8) for _ in range(3))
    expected = functional.scaled_dot_product_attention(query[:1], key[:1], value[:1])
    outputs = attention(query, key, value, dropout_p=0.1)
    assert not torch.equal(outputs[0], outputs[1])
    torch.testing.assert_close(outputs.mean(0), expected[0], atol=0.02, rtol=0)


@pytest.mark.parametrize("kind", ["bool", "float", "double"])
def test_a_row_that_may_attend_to_nothing_is_no_nan(kind):
    mask = torch.ones(1, 1, 3, 3, dtype=torch.bool)
    mask[..., 1, :] = False
    if kind != "bool":
        mask = torch.zeros(mask.shape, dtype=getattr(torch, kind)).masked_fill_(~mask, -torch.inf)
    tensors = [torch.randn(1, 1, 3, 4, requires_grad=True) for _ in range(3)]
    for tensor in outcome(attention, tensors, attn_mask=mask, dropout_p=0.1):
        assert tensor.isfinite().all()


def test_float64_stays_as_wide():
    torch.manual_seed(0)
    tensors = [torch.randn(2, 2, 4, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    lowest = 2**-16  # a rate at which next to nothing is dropped
    output = attention(*tensors, dropout_p=lowest)
    expected = functional.scaled_dot_product_attention(*tensors) * masks.scale_of(lowest)
    torch.testing.assert_close(output, expected, atol=1e-13, rtol=1e-13)
    found, true = (torch.autograd.grad(one.sin().sum(), tensors) for one in (output, expected))
    torch.testing.assert_close(found, true, atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_graph_that_is_kept_gives_its_gradients_again(dtype):
    tensors = given(dtype)
    output = attention(*tensors, dropout_p=0.3).float().square().sum()
    first = torch.autograd.grad(output, tensors, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(output, tensors), first, atol=0, rtol=0)


def test_one_head_of_keys_for_all_is_left_to_pytorch():
    query, key = torch.randn(2, 4, 3, 8), torch.randn(1, 1, 3, 8)
    assert attention(query, key, key, dropout_p=0.5).shape == query.shape


LEFT = {
    "causal": {"is_causal": True, "enable_gqa": True},
    "groups of heads": {"enable_gqa": True},
    "a mask that learns": {"attn_mask": torch.zeros(1, 1, 3, 3, requires_grad=True), "enable_gqa": True},
}


@pytest.mark.parametrize("options", LEFT)
def test_attention_of_other_kinds_is_left_to_pytorch(options):
    query, key = torch.randn(1, 4, 3, 8), torch.randn(1, 2, 3, 8)
    results = []
    for function in (attention, functional.scaled_dot_product_attention):
        torch.manual_seed(0)
        results.append(function(query, key, key, dropout_p=0.5, **LEFT[options]))
    assert torch.equal(*results)


def test_a_mask_that_learns_has_a_gradient():
    mask = torch.zeros(1, 1, 5, 5, requires_grad=True)
    attention(*given(torch.float32), attn_mask=mask, dropout_p=0.5).sum().backward()
    assert mask.grad.isfinite().all()
    assert mask.grad.abs().sum() > 0
