"""What is captured of a pass: its random numbers, nodes, casts and masks. Work is captured to be done again."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest import mock

import torch
from torch import Tensor

from lightning_clf.gpu import StepGraphs
from tests.gpu.replayed import WARMUPS, Again, Net, assert_same_gradients, inputs_of, pair, seeded
from tests.training import complaint


def test_random_numbers_go_on_as_if_nothing_had_been_recorded():
    plain, _, steps = pair()
    given = inputs_of(4, 6)
    torch.manual_seed(3)
    plain.compute(given)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    steps(given)
    assert torch.equal(torch.rand(3), wanted)


def test_hooks_see_each_gradient_once():
    plain, replayed, steps = pair()
    for network in (plain, replayed):
        network.out.weight.register_hook(lambda gradient: gradient * 2)
    given = inputs_of(4, 6)
    for _ in range(2):
        plain.zero_grad(), replayed.zero_grad()
        seeded(plain.compute, given).square().sum().backward()
        seeded(steps, given).square().sum().backward()
        assert_same_gradients(plain, replayed)


def test_what_is_captured_shares_no_node_with_graphs_of_before():
    """Whose stream a capture would have to wait for."""
    _, replayed, steps = pair()
    kept = replayed.compute(inputs_of(4, 6)).sum()
    nodes = {id(node) for node in leaves_below(kept)}
    with mock.patch.object(torch.autograd, "grad", wraps=torch.autograd.grad) as asked:
        steps(inputs_of(4, 6)).sum().backward()
    assert asked.called
    for call in asked.call_args_list:
        assert not {id(node) for node in leaves_below(call.args[0])} & nodes


def leaves_below(output: Tensor) -> list[Any]:
    """The nodes that put gradients into weights."""
    found, ahead = [], [output.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None:
            found += [node] if hasattr(node, "variable") else []
            ahead += [following for following, _ in node.next_functions]
    return found


class Watched(torch.autograd.Function):
    """Notes whether autocast is on, forwards and back."""

    seen: ClassVar[list[tuple[str, bool, bool]]] = []

    @staticmethod
    def forward(ctx, values):
        Watched.seen.append(("forward", torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()))
        return values.clone()

    @staticmethod
    def backward(ctx, incoming):
        Watched.seen.append(("backward", torch.is_autocast_enabled("cpu"), True))
        return incoming


def test_autocast_is_of_the_pass_forward_alone():
    """Autograd's threads would have it in float16; and no cast is kept, as weights move on."""
    network = Net()
    steps = StepGraphs(network, lambda inputs: Watched.apply(network.compute(inputs)), Again)
    Watched.seen.clear()
    with torch.autocast("cpu", torch.bfloat16):
        steps(inputs_of(4, 6))
    assert Watched.seen[: 2 * WARMUPS] == [("forward", True, False), ("backward", False, True)] * WARMUPS


def test_a_mask_is_heeded_by_what_is_tried_as_by_what_is_recorded():
    """Where nothing is padded, `transformers` leaves masks out, but not in a recording."""
    masks: list[bool] = []
    network = Net()

    def compute(inputs):
        masks.append(bool(inputs["attention_mask"].all()))
        return network.compute({"ids": inputs["ids"], "mask": inputs["attention_mask"].float()})

    given = {"ids": torch.randint(20, (4, 6)), "attention_mask": torch.ones(4, 6, dtype=torch.long)}
    found = seeded(StepGraphs(network, compute, Again), given)
    assert masks == [*[False] * WARMUPS, True]
    assert given["attention_mask"].all()
    wanted = seeded(network.compute, {"ids": given["ids"], "mask": given["attention_mask"].float()})
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_what_cannot_be_captured_is_told():
    class Refusing(Again):
        def __call__(self, work):
            raise RuntimeError("operation not permitted when stream is capturing")

    network = Net()
    said = complaint(lambda: StepGraphs(network, network.compute, Refusing)(inputs_of(4, 6)))
    assert said == (
        "model.cuda_graphs cannot capture this encoder (RuntimeError: operation not permitted when stream is "
        "capturing): leave it out"
    )
