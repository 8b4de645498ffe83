"""One process finds a fault, and every process ends with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import distributed

from lightning_clf.errors import InputError, SharedError


def is_shared() -> bool:
    """Whether other processes take part in this run."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def raise_shared(fault: InputError | None) -> None:
    """Raise a fault of any process in all of them, which must ask together: else the others would wait for this one.

    Args:
        fault: What this process found.

    Raises:
        InputError: The fault, where it was found; elsewhere a `SharedError` that says the same.
    """
    said: list[Any] = [None if fault is None else str(fault)]
    if is_shared():
        said *= distributed.get_world_size()
        distributed.all_gather_object(said, said[0])
    if fault is not None:
        raise fault
    for message in said:
        if message is not None:
            raise SharedError(message)


def shared_fault(prepare: Callable[[], None]) -> InputError | None:
    """Prepare data on one process for all.

    Returns:
        Where others wait for this process, the error it met, which `raise_shared` raises in all of them.

    Raises:
        InputError: If it met one and is alone.
    """
    try:
        prepare()
    except InputError as error:
        if not is_shared():
            raise
        return error
    return None
