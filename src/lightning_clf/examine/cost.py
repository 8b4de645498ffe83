"""What training takes in time and memory, as far as a few steps tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from lightning_clf.examine.finding import Finding
from lightning_clf.examine.plan import Plan

_GB = 1e9
# gradients stand beside what is kept, and allocators leave gaps: whole processes on a CPU, with a small encoder, took
# 1.6 to 1.9 times what the forward pass kept
_BACKWARD = 1.7


@dataclass(frozen=True)
class Cost:
    """What training steps take.

    Attributes:
        plan: The batches it was measured on.
        device: Where.
        fixed: Bytes of weights, gradients and AdamW's numbers.
        kept: Bytes the forward passes of the plan's slices keep for the backward pass.
        available: Bytes that are free; `None` if nobody knows.
        seconds: Of each batch of the plan's sample; none if the largest would not fit.
        ran_out: Whether a device ran out of memory, whatever was counted before.
        validated: The names of the numbers that a validation logged; none where it did not come to one.
    """

    plan: Plan
    device: torch.device
    fixed: int
    kept: list[int]
    available: int | None
    seconds: list[float]
    ran_out: bool = False
    validated: frozenset[str] = frozenset()

    @property
    def bytes_a_text(self) -> float:
        """Bytes that each text of the largest batch takes, forward and backward."""
        rows = [len(batch) for batch in self.plan.slices]
        kept = self.kept[0] if rows[0] == rows[1] else (self.kept[1] - self.kept[0]) / (rows[1] - rows[0])
        return _BACKWARD * kept

    def needed(self, texts: int) -> int:
        """Bytes that a batch of so many texts of the largest length takes, with all that is fixed."""
        rows = len(self.plan.slices[0])
        return round(self.fixed + _BACKWARD * self.kept[0] + (texts - rows) * self.bytes_a_text)

    @property
    def fits(self) -> bool:
        """Whether the largest batch fits into what is free, as far as is known."""
        enough = self.available is None or self.needed(len(self.plan.largest)) <= self.available
        return enough and not self.ran_out

    @property
    def most_texts(self) -> int:
        """How many texts of the largest length would fit into what is free."""
        assert self.available is not None
        free = self.available - self.needed(0)
        return max(0, int(free // max(1.0, self.bytes_a_text)))

    @property
    def epoch_seconds(self) -> float:
        """Of an epoch of training: batches are sampled evenly by size."""
        return sum(self.seconds) / len(self.seconds) * self.plan.batches


def costs(cost: Cost, *, by_tokens: bool, epochs: int | None) -> Iterator[Finding]:
    """What is to be said of time and memory.

    Args:
        cost: What was measured.
        by_tokens: Whether batches are cut by subwords rather than texts.
        epochs: How many epochs there are at most, if anybody says.
    """
    yield _memory(cost, by_tokens)
    if not cost.seconds:
        return
    seconds = cost.epoch_seconds
    found = f"an epoch of {cost.plan.batches} batches takes about {_duration(seconds)} on {cost.device}"
    if epochs is not None and epochs > 1:
        found += f", {epochs} of them {_duration(epochs * seconds)}"
    found += "; validation is not counted, nor that several processes would share it"
    yield Finding("ok", "time", found)


def _memory(cost: Cost, by_tokens: bool) -> Finding:
    rows, length = len(cost.plan.largest), cost.plan.length
    free = "" if cost.available is None else f" of {cost.available / _GB:.2f} GB that are free"
    found = (
        f"the largest batch, {rows} {cost.plan.unit} of {length} subwords, takes about {cost.needed(rows) / _GB:.2f} GB"
        f"{free}, {cost.fixed / _GB:.2f} GB of it whatever the batch"
    )
    if cost.fits:
        return Finding("ok", "memory", found)
    if cost.ran_out:
        found += ", and ran out of it"
    texts = min(cost.most_texts, rows // 2) if cost.ran_out else cost.most_texts
    if texts < 1:
        return Finding("error", "memory", found, "lower data.max_length, freeze layers, or take a smaller encoder")
    key, value = ("batch_tokens", texts * length) if by_tokens else ("batch_size", texts)
    steps = -(-rows // texts)
    advice = f"set data.{key} to {value} or less, and trainer.accumulate_grad_batches to {steps} for as large a step"
    return Finding("error", "memory", found, advice)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
