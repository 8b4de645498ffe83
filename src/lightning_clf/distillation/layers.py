"""Learning what a teacher's layers compute, and not its answers alone: hidden states and attention."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel

from lightning_clf.batch import Batch
from lightning_clf.errors import InputError
from lightning_clf.precision import full_precision


@dataclass
class Seen:
    """What a forward pass computed on the way, of however many calls.

    Attributes:
        outputs: What the encoder returned each time.
    """

    outputs: list[Any] = field(default_factory=list)

    def hidden(self, place: int) -> Tensor:
        """Hidden states `[N,T,H]`: those of the embeddings at 0, and after that those of each layer."""
        return full_precision(torch.cat([output.hidden_states[place] for output in self.outputs]))

    def attention(self) -> Tensor:
        """What the last layer attends to, `[N,heads,T,T]`."""
        return full_precision(torch.cat([output.attentions[-1] for output in self.outputs]))


@contextlib.contextmanager
def watching(encoder: PreTrainedModel, *, attention: bool) -> Iterator[Seen]:
    """Keep what an encoder computes on the way.

    Args:
        encoder: A `transformers` model.
        attention: Whether attention is kept too, which `eager` alone gives.
    """
    seen = Seen()

    def ask(module: nn.Module, arguments: Any, options: dict[str, Any]) -> Any:
        return arguments, {**options, "output_hidden_states": True, "output_attentions": attention}

    def keep(module: nn.Module, arguments: Any, output: Any) -> None:
        seen.outputs.append(output)

    hooks = [encoder.register_forward_pre_hook(ask, with_kwargs=True), encoder.register_forward_hook(keep)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def followed(layers: int, of_teacher: int) -> list[int]:
    """Which layer of the teacher each of the student's is to compute what of, both counted from 1.

    Evenly, the last by the last, as TinyBERT does (Jiao et al. 2020): layer m of M follows layer m·L/M of L, rounded.
    """
    return [math.floor(layer * of_teacher / layers + 0.5) for layer in range(1, layers + 1)]


class LayerLoss(nn.Module):
    """How far a student's layers are from its teacher's.

    - Hidden states: the squared difference W h_s − h_t, the mean over their width, over the subwords of an example and
      over the student's layers, each beside the one it follows (Jiao et al. 2020, "TinyBERT"). W is learned where the
      widths differ, and is nothing where they are the same.
    - Attention: KL(a_t ‖ a_s) of the last layer, the mean over heads and the subwords that attend (Wang et al. 2020,
      "MiniLM").

    Args:
        student: The configuration of the student's encoder.
        teacher: That of the teacher's.
        hidden_weight: What the first counts.
        attention_weight: What the second counts.

    Raises:
        InputError: If attention is to be compared, and is of other heads, or has holes.
    """

    def __init__(
        self, student: PretrainedConfig, teacher: PretrainedConfig, hidden_weight: float, attention_weight: float
    ) -> None:
        super().__init__()
        self.hidden_weight, self.attention_weight = hidden_weight, attention_weight
        self.followed = followed(student.num_hidden_layers, teacher.num_hidden_layers)
        self.projection: nn.Module = nn.Identity()
        if hidden_weight and student.hidden_size != teacher.hidden_size:
            self.projection = nn.Linear(student.hidden_size, teacher.hidden_size, bias=False)
        if attention_weight:
            _check_attention(student, teacher)

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> Tensor:
        """The loss of each example, `[B]`."""
        mask = batch.inputs["attention_mask"].to(torch.float32)
        loss = torch.zeros(len(batch), device=mask.device)
        if self.hidden_weight:
            layers = [
                functional.mse_loss(self.projection(student.hidden(layer)), teacher.hidden(other), reduction="none")
                for layer, other in enumerate(self.followed, 1)
            ]
            loss = loss + self.hidden_weight * _mean(torch.stack(layers).mean((0, -1)), mask, batch)
        if self.attention_weight:
            ours, theirs = student.attention(), teacher.attention()
            ours = ours.clamp(min=torch.finfo(ours.dtype).tiny)
            apart = (torch.xlogy(theirs, theirs) - theirs * ours.log()).sum(-1).mean(1)
            loss = loss + self.attention_weight * _mean(apart, mask, batch)
        return loss


def _mean(values: Tensor, mask: Tensor, batch: Batch) -> Tensor:
    """The mean over an example's subwords, `[B]`, of what each `[N,T]` has."""
    sums = torch.stack([(values * mask).sum(1), mask.sum(1)])
    sums = torch.zeros(2, len(batch), device=sums.device).index_add(1, batch.window_to_example, sums)
    return sums[0] / sums[1]


def _check_attention(student: PretrainedConfig, teacher: PretrainedConfig) -> None:
    ours, theirs = student.num_attention_heads, teacher.num_attention_heads
    if ours != theirs:
        raise InputError(
            f"model.distillation.attention_weight compares {ours} heads with the teacher's {theirs}: leave it out"
        )
    for key in ("attention_probs_dropout_prob", "attention_dropout"):
        if getattr(student, key, 0):
            raise InputError(
                "model.distillation.attention_weight compares attention, in which dropout makes holes: set "
                f"{key}: 0.0 in model.encoder_options"
            )
