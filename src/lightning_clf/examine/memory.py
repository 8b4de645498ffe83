"""How much memory there is, and how much a training step takes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

_GROUP = Path("/sys/fs/cgroup")
_ADAM = 2  # numbers AdamW keeps for each it moves


def available_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device, within the limit of this process's control group; `None` if nobody knows."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    if device.type != "cpu":
        return None
    known = [*_free_of_machine(), *_free_of_group()]
    return min(known, default=None)


def _free_of_machine() -> list[int]:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return [1024 * int(line.split()[1])]
    return []


def _free_of_group() -> list[int]:
    with suppress(OSError, ValueError):  # where there is no limit, it is a word
        limit = int((_GROUP / "memory.max").read_text(encoding="utf-8"))
        return [limit - int((_GROUP / "memory.current").read_text(encoding="utf-8"))]
    return []


class Saved:
    """Counts the bytes that a forward pass keeps for the backward pass, weights aside.

    The count is exact and the same every time, which the size of a process is not. What is kept while activations are
    checkpointed is out of its sight.
    """

    def __init__(self, module: nn.Module) -> None:
        own = [*module.parameters(), *module.buffers()]
        self._known = {tensor.untyped_storage().data_ptr() for tensor in own}
        self._storages: dict[int, int] = {}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._see, lambda tensor: tensor)

    def _see(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    def start(self) -> None:
        """Begin to count."""
        self._storages = {}
        self._hooks.__enter__()

    def stop(self) -> int:
        """Stop counting; how many bytes were kept."""
        self._hooks.__exit__(None, None, None)
        return sum(self._storages.values())


def fixed_bytes(module: nn.Module) -> int:
    """What is in memory whatever the batch is: weights, and gradients and AdamW's numbers of those that move."""
    parameters = list(module.parameters())
    moving = [parameter for parameter in parameters if parameter.requires_grad]
    return _size([*parameters, *module.buffers()]) + (1 + _ADAM) * _size(moving)


def _size(tensors: list[Tensor] | list[nn.Parameter]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
