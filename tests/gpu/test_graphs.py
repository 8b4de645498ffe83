"""What is replayed is what would be computed. Work is captured here to be done again, which a CPU can."""

from __future__ import annotations

import copy
import pickle
from unittest import mock

import pytest
import torch

from lightning_clf.gpu import captured, graphs
from tests.gpu.replayed import WARMUPS, assert_same_gradients, inputs_of, pair, seeded
from tests.training import complaint


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


def test_shapes_beyond_the_most_are_computed_as_ever(monkeypatch):
    monkeypatch.setattr(graphs, "MAX_SHAPES", 2)
    plain, replayed, steps = pair()
    for length in (2, 3, 4, 4, 2):
        given = inputs_of(4, length)
        torch.testing.assert_close(seeded(steps, given), seeded(plain.compute, given), rtol=0, atol=0)
    # one of the two that were captured came again
    assert replayed.calls == 2 * WARMUPS + 3 + 2
