"""Masks: their rate, their independence, and what they keep."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_clf.cpu import masks


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_rate(p):
    mask = masks.draw(torch.Size((1000, 1003)), p)
    assert mask.dtype == torch.int16
    assert set(mask.unique().tolist()) == {-1, 0}
    dropped = mask == 0
    deviation = math.sqrt(p * (1 - p) / mask.numel())
    assert abs(dropped.float().mean().item() - p) < 5 * deviation + 2**-17
    # no lane, row or column of the draw is favoured
    for part in (dropped[:, 0::4], dropped[:, 1::4], dropped[:, 2::4], dropped[:, 3::4], dropped[:7], dropped[:, :7]):
        assert abs(part.float().mean().item() - p) < 5 * math.sqrt(p * (1 - p) / part.numel()) + 2**-17


def test_elements_are_dropped_independently():
    dropped = (masks.draw(torch.Size((4_000_000,)), 0.1) == 0).float() - 0.1
    for lag in (1, 2, 3, 4, 8, 384):
        covariance = (dropped[lag:] * dropped[:-lag]).mean().item()
        assert abs(covariance) < 5 * 0.09 / math.sqrt(4_000_000)


def test_masks_drawn_one_after_the_other_are_independent():
    first, second = ((masks.draw(torch.Size((1_000_000,)), 0.5) == 0).float() - 0.5 for _ in range(2))
    assert abs((first * second).mean().item()) < 5 * 0.25 / math.sqrt(1_000_000)


def test_a_seed_gives_the_same_mask():
    def drawn(seed):
        torch.manual_seed(seed)
        return masks.draw(torch.Size((100,)), 0.5)

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_what_is_kept_keeps_its_bits(dtype):
    values = torch.tensor([[1.5, -2.0, float("inf")], [float("nan"), -0.0, 3e-5]], dtype=dtype)
    mask = torch.tensor([[-1, 0, 0], [0, -1, -1]], dtype=torch.int16)
    kept = masks.keep(values, mask)
    assert kept.dtype == dtype
    assert kept.tolist() == [[1.5, 0.0, 0.0], [0.0, 0.0, values[1, 2].item()]]
    assert math.copysign(1, kept[1, 1].item()) == -1
    assert torch.equal(masks.keep(values.t(), mask.t()), kept.t())


@pytest.mark.parametrize(("p", "between"), [(0.0, False), (1.0, False), (2**-18, False), (2**-16, True), (0.1, True)])
def test_rates_that_round_to_none_or_all(p, between):
    assert masks.is_between(p) is between


def test_the_scale_is_that_of_the_rounded_rate():
    assert masks.scale_of(0.1) == 1 / (1 - 6554 / 65536)


def test_a_context_within_another_leaves_it_its_masks():
    def drawn(*, nested):
        torch.manual_seed(0)
        with masks.seeded_once():
            torch.manual_seed(0)
            first = masks.draw(torch.Size((100,)), 0.5)
            if nested:
                with masks.seeded_once():
                    masks.draw(torch.Size((100,)), 0.5)
            return first, masks.draw(torch.Size((100,)), 0.5)

    assert torch.equal(drawn(nested=True)[1], drawn(nested=False)[1])
    assert not torch.equal(*drawn(nested=True))


def test_the_first_numbers_of_a_seed_have_all_bits():
    high = torch.cat([masks.draw(torch.Size((4,)), 0.5) for _ in range(4000)]).view(-1, 4) == 0
    assert ((high.float().mean(0) - 0.5).abs() < 5 * 0.5 / math.sqrt(4000)).all()
