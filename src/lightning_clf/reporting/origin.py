"""What a report is of: the file, the model, the machine, and how fast they were together."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch

from lightning_clf.inference import Answered, Classifier
from lightning_clf.inference.digests import file_digest
from lightning_clf.network import Network

_PACKAGES = ("lightning-clf", "torch", "transformers", "tokenizers", "torchmetrics")


def digest(path: str | Path) -> str:
    """The sha256 of a file; of a folder, that of the names and digests of the files in it."""
    path = Path(path)
    if path.is_file():
        return file_digest(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{digest(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def describe_model(model: str, classifier: Classifier) -> dict[str, Any]:
    """Which model it was. A graph does not tell its parameters."""
    network, parameters = classifier.network, None
    architecture = f"ONNX graph of {network.config.model_type}"
    if isinstance(network, Network):
        architecture = type(network.encoder).__name__
        parameters = sum(weight.numel() for weight in network.parameters())
    return {
        "name": model,
        "sha256": digest(model),
        "architecture": architecture,
        "head": type(network.head).__name__,
        "parameters": parameters,
        "max_length": classifier.artefact.max_length,
        "decision": network.decision.to_dict(),
    }


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Where it ran, and with what."""
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": accelerator or str(device),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in _PACKAGES},
    }


def describe_speed(answered: Answered) -> dict[str, Any]:
    """How fast it was; the milliseconds of a batch are those of full batches, `None` where there was none."""
    speed = answered.speed
    batches = sorted(speed.batches)
    return {
        "batch_size": speed.batch_size,
        "rows": len(answered.rows),
        "tokens": speed.tokens,
        "seconds": speed.seconds,
        "rows_per_second": len(answered.rows) / speed.seconds,
        "tokens_per_second": speed.tokens / speed.seconds,
        "full_batches": len(batches),
        "batch_milliseconds_median": median(batches) * 1000 if batches else None,
        "batch_milliseconds_95": batches[int(0.95 * (len(batches) - 1))] * 1000 if batches else None,
    }


def _processor() -> str:
    """The processor's name, which Linux tells in a file of its own."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
