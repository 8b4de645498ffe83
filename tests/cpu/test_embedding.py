"""The gradient that stays is the one PyTorch would make, however steps follow each other."""

from __future__ import annotations

import gc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lightning_clf.cpu import embedding as module
from lightning_clf.cpu.embedding import RowGradients

SHAPE = (11, 4)


@pytest.fixture(autouse=True)
def small_tables(monkeypatch):
    monkeypatch.setattr(module, "_LARGE", 1)


def tables():
    values = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    return nn.Parameter(values.clone()), nn.Parameter(values.clone())


def backward(function, weight, ids, **options):
    rows = function(torch.tensor(ids), weight, **options)
    (rows * torch.linspace(-1, 2, rows.numel()).view(rows.shape)).sum().backward()


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.tuples(
            st.lists(st.lists(st.integers(0, 10), min_size=3, max_size=3), min_size=1, max_size=4),
            st.sampled_from(["none", "set to none", "zeroed", "penalty"]),
        ),
        min_size=1,
        max_size=6,
    ),
    padding=st.sampled_from([None, 0, 3, -1]),
)
def test_every_sequence_of_steps(steps, padding):
    module._LARGE = 1
    ours, theirs = tables()
    kept = RowGradients()
    for ids, between in steps:
        for weight, function in ((ours, kept.embedding), (theirs, functional.embedding)):
            backward(function, weight, ids, padding_idx=padding)
            if between == "penalty":
                weight.square().sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
        rows = kept.rows(ours)
        others = torch.ones(len(ours), dtype=torch.bool)
        others[slice(None) if rows is None else rows] = False
        assert not ours.grad[others].any()
        if between == "penalty":
            assert rows is None
        for weight in (ours, theirs):
            if between == "set to none":
                weight.grad = None
            elif between == "zeroed":
                weight.grad.zero_()


def test_one_step_is_the_same_bit_for_bit():
    ours, theirs = tables()
    ids = torch.randint(0, 11, (7, 9))
    backward(RowGradients().embedding, ours, ids.tolist())
    backward(functional.embedding, theirs, ids.tolist())
    assert torch.equal(ours.grad, theirs.grad)


def test_no_table_is_made_twice():
    weight, _ = tables()
    kept = RowGradients()
    places = set()
    for ids in ([[1, 2]], [[2, 3]]):
        weight.grad = None
        backward(kept.embedding, weight, ids)
        places.add(weight.grad.data_ptr())
    assert len(places) == 1
    assert weight.grad.any(dim=1).nonzero().flatten().tolist() == [2, 3]


def test_gradients_that_are_summed_for_long_are_kept_count_of_by_row():
    weight, _ = tables()
    kept = RowGradients()
    for _ in range(5):
        backward(kept.embedding, weight, [[1, 2], [2, 3]])
    assert kept.rows(weight).tolist() == [1, 2, 3]
    assert kept._by_weight[weight]._touched.tolist() == [1, 2, 3]


def test_a_gradient_from_elsewhere_that_came_first_is_added_to():
    ours, theirs = tables()
    kept = RowGradients()
    for weight, function in ((ours, kept.embedding), (theirs, functional.embedding)):
        weight.square().sum().backward()
        backward(function, weight, [[1, 1, 5]])
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert kept.rows(ours) is None


@pytest.mark.parametrize("case", ["frozen", "no gradients", "scaled by frequency", "small", "no parameter"])
def test_what_is_left_to_pytorch(case, monkeypatch):
    weight, _ = tables()
    kept = RowGradients()
    if case == "small":
        monkeypatch.setattr(module, "_LARGE", 10**6)
    with torch.set_grad_enabled(case != "no gradients"):
        weight.requires_grad_(case != "frozen")
        given = weight * 1 if case == "no parameter" else weight
        rows = kept.embedding(torch.tensor([1, 2]), given, scale_grad_by_freq=case == "scaled by frequency")
    assert torch.equal(rows, weight[1:3])
    assert kept.rows(weight) is None
    if rows.requires_grad:
        rows.sum().backward()
        assert weight.grad[1:3].all()
        assert kept.rows(weight) is None


def test_nothing_is_left_on_a_weight_when_it_is_let_go_of():
    weight, _ = tables()
    kept = RowGradients()
    backward(kept.embedding, weight, [[1, 2]])
    assert len(weight._backward_hooks) == 1
    del kept
    gc.collect()
    assert not weight._backward_hooks
