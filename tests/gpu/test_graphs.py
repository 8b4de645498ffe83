"""What is replayed is what would be computed. Work is recorded here by doing it again, which a CPU can."""

from __future__ import annotations

import copy
from typing import ClassVar
from unittest import mock

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from torch import Tensor, nn
from torch.nn import functional

from lightning_clf import SingleLabelClassifier
from lightning_clf.gpu import StepGraphs, graphs
from lightning_clf.modules import computation
from lightning_clf.modules.trained import TrainedModule
from tests.training import MODULES, complaint, make_data, make_module, make_trainer


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


def again(work, pool):
    """Records some work by doing it, and does it again."""
    work()
    return torch.enable_grad()(work)


def pair():
    """A network, and a copy that is replayed."""
    torch.manual_seed(0)
    plain = Net()
    replayed = copy.deepcopy(plain)
    return plain, replayed, StepGraphs(replayed, replayed.compute, again)


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


def test_a_shape_is_recorded_once():
    _, replayed, steps = pair()
    for _ in range(3):
        for shape in ((4, 6), (3, 6)):
            steps(inputs_of(*shape)).sum().backward()
    # each is tried once, recorded, and then done again
    assert replayed.calls == 2 * 2 + 6


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
    _, replayed, steps = pair()
    steps(inputs_of(4, 6))  # and let go of
    calls = replayed.calls
    with mock.patch.object(graphs._Recording, "take", wraps=None) as taken:
        steps(inputs_of(4, 6))
    assert taken.called
    assert replayed.calls == calls + 1


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
    assert replayed.calls == calls + 3
    with torch.no_grad():  # where they are, they may change
        for network in (plain, replayed):
            network.out.weight.mul_(2)
    given = inputs_of(4, 6)
    torch.testing.assert_close(seeded(steps, given), seeded(plain.compute, given), rtol=0, atol=0)


def test_evaluation_mode_is_recorded_by_itself():
    plain, replayed, steps = pair()
    given = inputs_of(4, 6)
    steps(given).sum().backward()
    plain.eval(), replayed.eval()
    torch.testing.assert_close(steps(given), plain.compute(given), rtol=0, atol=0)


def test_nothing_is_recorded_of_what_has_no_gradients():
    _, replayed, steps = pair()
    replayed.requires_grad_(False)
    assert not steps(inputs_of(4, 6)).requires_grad
    assert replayed.calls == 1


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
    steps = StepGraphs(network, lambda inputs: Watched.apply(network.compute(inputs)), again)
    Watched.seen.clear()
    with torch.autocast("cpu", torch.bfloat16):
        steps(inputs_of(4, 6))
    # tried, and recorded
    assert Watched.seen[:4] == [("forward", True, False), ("backward", False, True)] * 2


def test_a_mask_is_heeded_by_what_is_tried_as_by_what_is_recorded():
    """Where nothing is padded, `transformers` leaves masks out, but not in a recording."""
    masks = []
    network = Net()

    def compute(inputs):
        masks.append(bool(inputs["attention_mask"].all()))
        return network.compute({"ids": inputs["ids"], "mask": inputs["attention_mask"].float()})

    given = {"ids": torch.randint(20, (4, 6)), "attention_mask": torch.ones(4, 6, dtype=torch.long)}
    found = seeded(StepGraphs(network, compute, again), given)
    assert masks == [False, False, True]
    assert given["attention_mask"].all()
    wanted = seeded(network.compute, {"ids": given["ids"], "mask": given["attention_mask"].float()})
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_what_cannot_be_recorded_is_told():
    def refuse(work, pool):
        raise RuntimeError("operation not permitted when stream is capturing")

    network = Net()
    said = complaint(lambda: StepGraphs(network, network.compute, refuse)(inputs_of(4, 6)))
    assert said.startswith("model.cuda_graphs cannot record this encoder (")
    assert said.endswith("operation not permitted when stream is capturing): leave it out")


def test_shapes_beyond_the_most_are_computed_as_ever(monkeypatch):
    monkeypatch.setattr(graphs, "MOST", 2)
    plain, replayed, steps = pair()
    for length in (2, 3, 4, 4, 2):
        given = inputs_of(4, length)
        torch.testing.assert_close(seeded(steps, given), seeded(plain.compute, given), rtol=0, atol=0)
    # two were tried and recorded, and one of them came again
    assert replayed.calls == 2 * 3 + 2 + 1


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 2}], ids=["", "accumulated"])
@pytest.mark.parametrize("kind", MODULES)
def test_a_fit_learns_the_same(kind, options, precision, encoders, tmp_path, monkeypatch):
    monkeypatch.setattr("lightning_clf.modules.base.check_recordable", lambda *_: None)
    monkeypatch.setattr("lightning_clf.network.StepGraphs", lambda module, compute: StepGraphs(module, compute, again))
    # a CPU's own ways of a step draw other masks as often as they are tried, and narrow to words
    monkeypatch.setattr(TrainedModule, "_has_cheap_steps", False)
    encoder, weights = encoders("bert"), []
    for cuda_graphs in (False, True):
        seed_everything(3)
        module = make_module(kind, encoder, learning_rate=1e-3, cuda_graphs=cuda_graphs)
        make_trainer(tmp_path, precision=precision, max_epochs=2, **options).fit(module, make_data(kind))
        weights.append(module.state_dict())
        assert module.network._graphs is None
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"packed": True}, "model.packed gives every batch a length of its own, for which model.cuda_graphs would"),
        (
            {"compile": True},
            "model.compile and model.cuda_graphs are two ways to start a step's kernels at once: leave",
        ),
    ],
)
def test_what_it_does_not_go_with(options, said):
    assert complaint(lambda: SingleLabelClassifier("encoder", cuda_graphs=True, **options)).startswith(said)


@pytest.mark.parametrize(
    ("options", "found"), [({}, "cpu"), ({"devices": 2, "strategy": "ddp"}, "several processes (2)")]
)
def test_a_fit_that_is_not_on_one_gpu_is_refused(options, found, encoders, tmp_path):
    module = make_module("single", encoders("bert"), cuda_graphs=True)
    trainer = Trainer(accelerator="cpu", default_root_dir=tmp_path, logger=False, **options)
    trainer.strategy.connect(module)
    said = complaint(lambda: computation.check_recordable(trainer, mock.Mock(is_activation_checkpointing=False)))
    assert said == (
        f"model.cuda_graphs is for one NVIDIA GPU, but the Trainer computes on {found}: leave it out, or set "
        "trainer.accelerator to gpu, trainer.devices to 1 and trainer.strategy to auto"
    )
    if not options:
        assert complaint(lambda: trainer.fit(module, make_data("single"))) == said
