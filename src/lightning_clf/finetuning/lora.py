"""Low-rank adaptation: a frozen encoder with small matrices beside its own."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from lightning_clf.errors import InputError, check_number, need
from lightning_clf.finetuning.adapters import adapter_scaling
from lightning_clf.finetuning.depth import depths, parts_by_depth
from lightning_clf.finetuning.policy import FineTuning


class LoRA(FineTuning):
    """Low-rank adaptation (Hu et al. 2022): `h = W x + alpha / rank · B A x`, where A and B move and W does not.

    A is `[rank, in]` and random, B is `[out, rank]` and 0, so that training starts from the encoder as it is. What lies
    above the layers is trained in full: pooler and head. The encoder keeps its dropout. Adapters are `peft`'s; they are
    trained well with a rate some ten times that of a whole encoder, such as 3e-4.

    A checkpoint holds the encoder and the adapters. What is exported, and what is read from a checkpoint for anything
    but going on with the fit, has the adapters added to the matrices: a stock model, which needs no `peft`.

    Args:
        rank: The rank of an adapter.
        alpha: An adapter counts `alpha / rank`; 16 with rank 8 is that of RoBERTa in the paper's code.
        dropout: Dropout on what an adapter reads.
        target_modules: The linear layers to adapt, each by the end of its name, such as `[query, value]`, which are
            the paper's. `None` takes every linear layer of every layer, which comes closest to training all of it
            (Dettmers et al. 2023).
        head_learning_rate: The rate of what lies above the layers; `None` takes the module's `learning_rate`.

    Raises:
        InputError: If a number is out of bounds, or there is no target.
    """

    def __init__(
        self,
        rank: int = 8,
        alpha: float = 16.0,
        dropout: float = 0.0,
        target_modules: list[str] | None = None,
        head_learning_rate: float | None = None,
    ) -> None:
        super().__init__(head_learning_rate=head_learning_rate)
        self.rank = check_number("rank", rank, least=1, whole=True)
        self.alpha = check_number("alpha", alpha, above=0)
        self.dropout = check_number("dropout", dropout, least=0, most=1)
        if target_modules is not None and not target_modules:
            raise InputError("target_modules names no layer: name one, such as query, or leave it out to adapt all")
        self.target_modules = target_modules

    def prepare(self, encoder: PreTrainedModel) -> None:
        """Put adapters into the encoder, once, and freeze the rest of it.

        Raises:
            InputError: If `peft` is not installed, the architecture cannot be read, or a target is none of its layers.
        """
        found = depths(encoder)
        if adapter_scaling(encoder) is None:
            _adapt(encoder, self._targets(encoder), self.rank, self.alpha, self.dropout)
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(".lora_" in name or id(parameter) not in found)

    def _targets(self, encoder: PreTrainedModel) -> list[str]:
        """The full names of the linear layers to adapt."""
        layers = {id(inner) for parts in parts_by_depth(encoder)[1:] for part in parts for inner in part.modules()}
        linear = [name for name, part in encoder.named_modules() if isinstance(part, nn.Linear) and id(part) in layers]
        if self.target_modules is None:
            return linear
        chosen: list[str] = []
        for target in self.target_modules:
            matching = [name for name in linear if f".{name}".endswith(f".{target}")]
            if not matching:
                known = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in linear))
                raise InputError(f"target_modules has {target!r}, which is no linear layer of the encoder: use {known}")
            chosen += matching
        return chosen


def _adapt(encoder: PreTrainedModel, targets: list[str], rank: int, alpha: float, dropout: float) -> None:
    peft = need("peft", "model.finetuning LoRA needs", "lora")
    options: dict[str, Any] = {"r": rank, "lora_alpha": alpha, "lora_dropout": dropout, "target_modules": targets}
    config = peft.LoraConfig(**options, bias="none")
    peft.inject_adapter_in_model(config, encoder)
