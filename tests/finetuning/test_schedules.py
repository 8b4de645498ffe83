"""Every step of every schedule against transformers' own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

from lightning_clf.component import from_spec
from lightning_clf.finetuning import ConstantSchedule, CosineSchedule, LinearSchedule, Schedule

PEERS: dict[str, tuple[Schedule, Callable[..., LambdaLR]]] = {
    "linear": (LinearSchedule(), get_linear_schedule_with_warmup),
    "cosine": (CosineSchedule(), get_cosine_schedule_with_warmup),
    "constant": (ConstantSchedule(), lambda optimizer, warmup, _: get_constant_schedule_with_warmup(optimizer, warmup)),
}


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (1, 1), (0, 7), (1, 7), (7, 7), (9, 7), (10, 100), (0, 100)])
def test_every_step_is_that_of_transformers(name: str, warmup: int, total: int) -> None:
    schedule, peer = PEERS[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    reference: Any = peer(optimizer, warmup, total)
    for step in range(total):
        assert schedule.factor(step, warmup, total) == pytest.approx(reference.get_last_lr()[0], abs=1e-12), step
        optimizer.step()
        reference.step()


@pytest.mark.parametrize(("name", "rest"), [("linear", 0.0), ("cosine", 0.0), ("constant", 1.0)])
def test_the_end_and_beyond_it(name: str, rest: float) -> None:
    schedule, _ = PEERS[name]
    assert [schedule.factor(step, 2, 10) for step in (10, 11, 1000)] == pytest.approx([rest] * 3, abs=1e-12)


def test_figures_worked_out_by_hand() -> None:
    steps = (0, 5, 10, 55, 100)
    assert [LinearSchedule().factor(step, 10, 100) for step in steps] == [0, 0.5, 1, 0.5, 0]
    assert [CosineSchedule().factor(step, 10, 100) for step in steps] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert [CosineSchedule().factor(step, 0, 100) for step in (25, 75)] == pytest.approx([0.853553, 0.146447], abs=1e-6)


class Squared(Schedule):
    """A user's own."""

    def after_warmup(self, progress: float) -> float:
        return (1 - progress) ** 2


def test_a_users_own_schedule_warms_up_too() -> None:
    schedule = from_spec(Squared().spec(), Schedule)
    assert [schedule.factor(step, 2, 6) for step in range(7)] == [0, 0.5, 1, 0.5625, 0.25, 0.0625, 0]
