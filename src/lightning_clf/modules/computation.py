"""How the encoder of a step is computed, where that is chosen, and what such a choice does not go with."""

from __future__ import annotations

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from transformers import PreTrainedModel

from lightning_clf.errors import InputError

# these copy numbers to the GPU for the distances between tokens, in each pass
_WAITING = ("deberta", "deberta-v2")


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
        InputError: If packed batches are to be compiled or captured too, or their attention to be computed in a way
            that has a name; or if what is compiled is to be captured, or attention that waits for the GPU.
    """
    if packed and compile:
        raise InputError(
            "model.packed gives every batch a length of its own, for which model.compile would compile anew: leave one "
            "of them out"
        )
    if packed and cuda_graphs:
        raise InputError(
            "model.packed gives every batch a length of its own, for which model.cuda_graphs would capture anew: leave "
            "one of them out"
        )
    if packed and attn_implementation is not None:
        raise InputError(
            f"model.packed has its own attention, and model.attn_implementation is {attn_implementation!r}: leave one "
            "of them out"
        )
    if compile and cuda_graphs:
        raise InputError(
            "model.compile and model.cuda_graphs are two ways to launch a step's kernels at once: leave one of them out"
        )
    if cuda_graphs and (attn_implementation or "").startswith("flash"):
        raise InputError(
            f"model.attn_implementation {attn_implementation} waits for the GPU in each layer, which model.cuda_graphs "
            "cannot capture: leave one of them out"
        )


def check_capturable(trainer: Trainer, encoder: PreTrainedModel) -> None:
    """Refuse a fit whose steps CUDA graphs cannot replay.

    Raises:
        InputError: If it is not on one GPU alone, the encoder waits for the GPU on its way, or activations are to be
            computed once more.
    """
    device = trainer.strategy.root_device.type
    if device != "cuda" or not isinstance(trainer.strategy, SingleDeviceStrategy):
        raise InputError(
            f"model.cuda_graphs is for one NVIDIA GPU alone, but the Trainer computes on {device} by "
            f"{type(trainer.strategy).__name__}: leave it out, or set trainer.accelerator to gpu, trainer.devices to 1 "
            "and trainer.strategy to auto"
        )
    if encoder.config.model_type in _WAITING:
        raise InputError(
            f"model.cuda_graphs cannot capture {encoder.config.model_type}, which waits for the GPU on its way: leave "
            "it out, or choose another encoder"
        )
    if any(getattr(encoder.config, key, 0) for key in ("layerdrop", "encoder_layerdrop", "decoder_layerdrop")):
        raise InputError(
            "model.cuda_graphs cannot capture an encoder that drops layers by chance (layerdrop): leave it out, or set "
            "that to 0 in model.encoder_options"
        )
    if encoder.is_activation_checkpointing:
        raise InputError(
            "model.cuda_graphs keeps what activation checkpointing computes once more: leave one of them out"
        )
