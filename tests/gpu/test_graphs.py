"""What is replayed is what would be computed. Work is captured here to be done again, which a CPU can."""

from __future__ import annotations

import contextlib
import copy
import pickle
from typing import Any, ClassVar
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_clf.gpu import StepGraphs, captured, graphs
from tests.training import complaint

WARMUPS = captured._WARMUPS


class Net(nn.Module):
    """Weights that are read, with dropout between them, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)
        self.out = nn.Linear(8, 3)
        self.unread = nn.Linear(8, 3)
        self.calls = 0

    def compute(self, inputs: dict[str, Tensor]) -> Tensor:
        self.calls += 1
        hidden = self.table(inputs["ids"]) * inputs["mask"][..., None]
        return self.out(functional.dropout(hidden.mean(1), 0.5, self.training))


class Again:
    """Captures work, as CUDA does without doing it, and does it."""

    def __init__(self, device: torch.device) -> None:
        pass

    def __call__(self, work):
        return torch.enable_grad()(work)

    def aside(self):
        return contextlib.nullcontext()


def pair():
    """A network, and a copy that is replayed."""
    torch.manual_seed(0)
    plain = Net()
    replayed = copy.deepcopy(plain)
    return plain, replayed, StepGraphs(replayed, replayed.compute, Again)


def inputs_of(rows: int, length: int) -> dict[str, Tensor]:
    mask = (torch.rand(rows, length) > 0.2).float()
    return {"ids": torch.randint(20, (rows, length)), "mask": mask}


def assert_same_gradients(one: nn.Module, other: nn.Module) -> None:
    for (name, parameter), twin in zip(one.named_parameters(), other.parameters(), strict=True):
        assert (parameter.grad is None) == (twin.grad is None), name
        if parameter.grad is not None:
            torch.testing.assert_close(twin.grad, parameter.grad, rtol=0, atol=0, msg=name)


def seeded(function, *arguments):
    torch.manual_seed(7)
    return function(*arguments)


def test_values_and_gradients_are_the_function_s():
    plain, replayed, steps = pair()
    for shape in ((4, 6), (3, 6), (4, 6), (4, 2), (3, 6)):
        given = inputs_of(*shape)
        wanted, found = seeded(plain.compute, given), seeded(steps, given)
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
        for output, network in ((wanted, plain), (found, replayed)):
            network.zero_grad()
            output.square().sum().backward()
        assert_same_gradients(plain, replayed)
        assert replayed.unread.weight.grad is None


def test_a_shape_is_captured_once():
    _, replayed, steps = pair()
    for _ in range(3):
        for shape in ((4, 6), (3, 6)):
            steps(inputs_of(*shape)).sum().backward()
    assert replayed.calls == 2 * WARMUPS + 6


def test_what_is_given_is_not_overwritten_by_the_next():
    _, _, steps = pair()
    first = steps(inputs_of(4, 6))
    kept = first.detach().clone()
    first.sum().backward()
    steps(inputs_of(4, 6)).sum().backward()
    torch.testing.assert_close(first.detach(), kept, rtol=0, atol=0)


def test_gradients_are_summed_over_batches():
    plain, replayed, steps = pair()
    for place, shape in enumerate(((4, 6), (4, 6), (3, 2), (4, 6))):
        given = inputs_of(*shape)
        seeded(plain.compute, given).square().sum().backward()
        seeded(steps, given).square().sum().backward()
        assert_same_gradients(plain, replayed)
        if place == 1:  # as an optimiser does whose gradients are not let go of
            plain.zero_grad(set_to_none=False)
            replayed.zero_grad(set_to_none=False)


def test_random_numbers_go_on_as_if_nothing_had_been_recorded():
    plain, _, steps = pair()
    given = inputs_of(4, 6)
    torch.manual_seed(3)
    plain.compute(given)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    steps(given)
    assert torch.equal(torch.rand(3), wanted)


def test_a_batch_whose_gradient_is_awaited_is_left_alone():
    """Two passes, then their gradients, as R-Drop has it."""
    plain, replayed, steps = pair()
    steps(inputs_of(4, 6)).sum().backward()
    replayed.zero_grad()
    one, other = inputs_of(4, 6), inputs_of(4, 6)
    for network, compute in ((plain, plain.compute), (replayed, steps)):
        torch.manual_seed(5)
        (compute(one) * compute(other)).sum().backward()
        assert network.out.weight.grad is not None
    assert_same_gradients(plain, replayed)


def test_a_gradient_that_never_comes_is_not_waited_for():
    _, _, steps = pair()
    steps(inputs_of(4, 6))  # and let go of
    with mock.patch.object(captured.Captured, "take", autospec=True, side_effect=captured.Captured.take) as taken:
        steps(inputs_of(4, 6))
    assert taken.called


def test_a_gradient_is_replayed_once():
    """What it is computed from may be overwritten by then."""
    _, _, steps = pair()
    loss = steps(inputs_of(4, 6)).sum()
    loss.backward(retain_graph=True)
    said = complaint(loss.backward)
    assert said == (
        "model.cuda_graphs replays a batch's gradients once, but they are asked for again: leave it out, or call "
        "backward once"
    )


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


def test_a_copy_is_computed_as_ever():
    _, _, steps = pair()
    steps(inputs_of(4, 6))
    assert copy.deepcopy(steps) is None
    assert pickle.loads(pickle.dumps(steps)) is None


def test_a_weight_that_is_frozen_is_recorded_anew():
    plain, replayed, steps = pair()
    steps(inputs_of(4, 6)).sum().backward()
    for network in (plain, replayed):
        network.zero_grad()
        network.table.requires_grad_(False)
    given = inputs_of(4, 6)
    seeded(plain.compute, given).square().sum().backward()
    seeded(steps, given).square().sum().backward()
    assert replayed.table.weight.grad is None
    assert_same_gradients(plain, replayed)


def test_weights_that_moved_elsewhere_are_found():
    plain, replayed, steps = pair()
    steps(inputs_of(4, 6)).sum().backward()
    calls = replayed.calls
    replayed.out.weight.data = replayed.out.weight.data.clone()
    replayed.zero_grad()
    steps(inputs_of(4, 6)).sum().backward()
    assert replayed.calls == calls + WARMUPS + 1
    with torch.no_grad():  # where they are, they may change
        for network in (plain, replayed):
            network.out.weight.mul_(2)
    given = inputs_of(4, 6)
    torch.testing.assert_close(seeded(steps, given), seeded(plain.compute, given), rtol=0, atol=0)


def test_evaluation_mode_is_captured_by_itself():
    plain, replayed, steps = pair()
    given = inputs_of(4, 6)
    steps(given).sum().backward()
    for network in (plain, replayed):
        network.eval()
    calls = replayed.calls
    torch.testing.assert_close(steps(given), plain.compute(given), rtol=0, atol=0)
    assert replayed.calls == calls + WARMUPS + 1


@pytest.mark.parametrize("others", [False, True])
def test_nothing_is_captured_of_what_has_no_gradients(others):
    _, replayed, steps = pair()
    replayed.requires_grad_(False)
    replayed.unread.requires_grad_(others)
    given = inputs_of(4, 6)
    for _ in range(2):
        output = seeded(steps, given)
        assert not output.requires_grad
        torch.testing.assert_close(output, seeded(replayed.compute, given), rtol=0, atol=0)
    assert replayed.calls == WARMUPS + 4


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
    """With what was first: the end of a capture says but that something was wrong."""

    class Refusing(Again):
        def __call__(self, work):
            try:
                raise RuntimeError("operation not permitted when stream is capturing")
            finally:
                raise RuntimeError("operation failed due to a previous error during capture")

    network = Net()
    said = complaint(lambda: StepGraphs(network, network.compute, Refusing)(inputs_of(4, 6)))
    assert said == (
        "model.cuda_graphs cannot capture this encoder (RuntimeError: operation not permitted when stream is "
        "capturing): leave it out"
    )


def test_shapes_beyond_the_most_are_computed_as_ever(monkeypatch):
    monkeypatch.setattr(graphs, "MAX_SHAPES", 2)
    plain, replayed, steps = pair()
    for length in (2, 3, 4, 4, 2):
        given = inputs_of(4, length)
        torch.testing.assert_close(seeded(steps, given), seeded(plain.compute, given), rtol=0, atol=0)
    # one of the two that were captured came again
    assert replayed.calls == 2 * WARMUPS + 3 + 2
