"""How the encoder of a step is computed, where that is chosen, and what such a choice does not go with."""

from __future__ import annotations

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from transformers import PreTrainedModel

from lightning_clf.errors import InputError


def check_computation(
    *, packed: bool, compile: bool, attn_implementation: str | None, cuda_graphs: bool = False
) -> None:
    """Refuse ways that do not go together.

    Args:
        packed: Whether batches are without padding.
        compile: Whether the encoder is compiled.
        attn_implementation: How attention is computed, where that is chosen.
        cuda_graphs: Whether the encoder is replayed.

    Raises:
        InputError: If packed batches are to be compiled or recorded too, or their attention to be computed in a way
            that has a name; or what is compiled is to be recorded.
    """
    if packed and compile:
        raise InputError(
            "model.packed gives every batch a length of its own, for which model.compile would compile anew: leave one "
            "of them out"
        )
    if packed and cuda_graphs:
        raise InputError(
            "model.packed gives every batch a length of its own, for which model.cuda_graphs would record anew: leave "
            "one of them out"
        )
    if packed and attn_implementation is not None:
        raise InputError(
            f"model.packed has its own attention, and model.attn_implementation is {attn_implementation!r}: leave one "
            "of them out"
        )
    if compile and cuda_graphs:
        raise InputError(
            "model.compile and model.cuda_graphs are two ways to start a step's kernels at once: leave one of them out"
        )


def check_recordable(trainer: Trainer, encoder: PreTrainedModel) -> None:
    """Refuse a fit whose steps CUDA graphs cannot replay.

    Raises:
        InputError: If it is not on one GPU alone, or activations are to be computed once more.
    """
    device = trainer.strategy.root_device
    if device.type != "cuda" or not isinstance(trainer.strategy, SingleDeviceStrategy):
        found = f"several processes ({trainer.world_size})" if trainer.world_size > 1 else f"{device.type}"
        raise InputError(
            f"model.cuda_graphs is for one NVIDIA GPU, but the Trainer computes on {found}: leave it out, or set "
            "trainer.accelerator to gpu, trainer.devices to 1 and trainer.strategy to auto"
        )
    if encoder.is_activation_checkpointing:
        raise InputError(
            "model.cuda_graphs keeps what activation checkpointing computes once more: leave one of them out"
        )
