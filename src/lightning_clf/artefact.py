"""A trained classifier on disk: written as an export folder, read from such a folder or from a checkpoint.

An export folder is what `save_pretrained` writes (configuration, safetensors, tokenizer), so that stock `transformers`
loads it, with `lightning_clf.json` beside it for what a configuration has no place for. Where a head of our own is on
it, that model is in the folder `encoder` below and the head in `head.safetensors`, and the configuration names a type
that stock code refuses, rather than put a head of random numbers on the encoder; `auto` knows that type.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lightning_clf.checkpoint import OTHER, SECTION, TASKS, merge_stored, read_checkpoint
from lightning_clf.component import from_spec
from lightning_clf.decision import Decision
from lightning_clf.encoding.tokenizer import (
    ENCODER,
    MODEL_TYPE,
    Tokenizer,
    read_tokenizer,
    tokenizer_from_bytes,
    tokenizer_to_bytes,
)
from lightning_clf.errors import InputError, reason
from lightning_clf.files import write_folder
from lightning_clf.finetuning.adapters import adapter_scaling, merged
from lightning_clf.heads.base import Head
from lightning_clf.labels import LabelSpace
from lightning_clf.network import Network, made_up, model_options, quiet_transformers
from lightning_clf.scorer import Runnable
from lightning_clf.stored import CONFIG, OWN_PART, damage_named, read_json

SIDECAR = "lightning_clf.json"
"""The file of an export folder that holds what a configuration has no place for."""
HEAD_WEIGHTS = "head.safetensors"
"""The file of an export folder that holds the parameters of a head of our own."""
GRAPH = "model.onnx"
"""The file of an export folder that holds a graph for onnxruntime in the place of weights."""


@dataclass
class Artefact(Runnable):
    """A network with its weights, and what its input must go through.

    Attributes:
        network: The network, on the CPU.
    """

    network: Network

    def describe(self) -> dict[str, Any]:
        """The artefact without its weights, in primitives and tensors, as a checkpoint holds it."""
        return {
            "config": json.loads(self.network.config.to_json_string(use_diff=False)),
            "tokenizer": tokenizer_to_bytes(self.tokenizer),
            "adapter_scaling": adapter_scaling(self.network),
            **self._own_part(),
        }

    def _own_part(self) -> dict[str, Any]:
        """What neither the encoder's configuration nor its tokenizer has a place for."""
        return {
            "head": self.network.head.spec(),
            "labels": self.labels.to_dict(),
            "max_length": self.max_length,
            "columns": self.columns,
            **({"stride": self.stride} if self.stride is not None else {}),
            **({"decision": decision} if (decision := self.decision.to_dict()) else {}),
        }

    @classmethod
    def from_description(cls, description: dict[str, Any], source: str = "the checkpoint") -> Artefact:
        """An artefact with random weights, as `describe` put it down.

        Args:
            description: What stands in a checkpoint that `read_checkpoint` read.
            source: What a message calls the checkpoint.

        Raises:
            InputError: If no network or tokenizer can be made of it, or it names a class that is not to be had.
        """
        with damage_named(source, OTHER):
            return cls._make(description, description["config"], tokenizer_from_bytes(description["tokenizer"]))

    @classmethod
    def _make(cls, own_part: dict[str, Any], config: dict[str, Any], tokenizer: Tokenizer) -> Artefact:
        network = Network.from_config(config, from_spec(own_part["head"], Head), stored_labels(own_part["labels"]))
        max_length, positions = own_part["max_length"], network.max_positions
        if positions and max_length > positions:
            raise ValueError(f"max_length is {max_length}, and the encoder has {positions} positions")
        stride = stored_stride(own_part)
        network.set_decision(Decision.from_dict(own_part.get("decision", {})))
        return cls(network, tokenizer, max_length, own_part["columns"], stride)

    def save(self, folder: str | Path) -> None:
        """Write an export folder: in whole under its final name, or not at all.

        Raises:
            InputError: If the folder cannot be written, or the disk is full. What stood there before still stands.
        """
        with write_folder(Path(folder)) as temporary:
            self.write(temporary)

    def write(self, folder: Path) -> None:
        """Write the files of an export folder to one that is there.

        Raises:
            OSError: If the disk is full.
        """
        encoder = self.network.encoder
        scaling = adapter_scaling(encoder)
        state = None if scaling is None else merged(encoder.state_dict(), scaling)
        whole = folder if self.network.head.is_stock else folder / ENCODER
        with _full_disk(SafetensorError), quiet_transformers():
            encoder.save_pretrained(whole, state_dict=state)
        if whole != folder:
            self._write_tokenizer(whole)
            _write_json(folder / "config.json", self._auto_config())
        self.write_beside(folder)

    def _auto_config(self) -> dict[str, Any]:
        """What an Auto class reads of an export whose head is ours."""
        task = "TokenClassification" if self.labels.kind == "tags" else "SequenceClassification"
        kept = ("id2label", "label2id", "problem_type", "pad_token_id", "thresholds")
        config = json.loads(self.network.config.to_json_string(use_diff=False))
        return {
            "model_type": MODEL_TYPE,
            "architectures": [f"LightningClfFor{task}"],
            **{key: config[key] for key in kept if key in config},
        }

    def _write_tokenizer(self, folder: Path) -> None:
        with _full_disk(Exception):  # the tokenizers library has no class of its own for it
            self.tokenizer.save_pretrained(folder)

    def write_beside(self, folder: Path) -> None:
        """Write what stands beside an encoder's own weights and configuration: head, tokenizer, description.

        Raises:
            OSError: If the disk is full.
        """
        head_state = {name: tensor.contiguous() for name, tensor in self.network.head.state_dict().items()}
        if head_state:
            with _full_disk(SafetensorError):
                save_file(head_state, folder / HEAD_WEIGHTS)
        self._write_tokenizer(folder)
        _write_json(folder / SIDECAR, self._own_part())


def load_artefact(path: str | Path) -> Artefact:
    """Read an export folder or a checkpoint.

    Raises:
        InputError: If it is neither, or it is damaged.
    """
    path = Path(path)
    artefact = _load_folder(path) if path.is_dir() else _load_checkpoint(path)
    artefact.network.eval()
    return artefact


def _load_checkpoint(path: Path) -> Artefact:
    checkpoint = read_checkpoint(path)
    if TASKS in checkpoint[SECTION]:
        names = list(checkpoint[SECTION][TASKS])
        raise InputError(
            f"checkpoint {path} is of several tasks ({', '.join(names)}): give the export of one, such as "
            f"{path.parent / 'best' / names[0]}"
        )
    artefact = Artefact.from_description(checkpoint[SECTION]["artefact"], f"checkpoint {path}")
    weights = {
        name.removeprefix("network."): tensor
        for name, tensor in merge_stored(checkpoint).items()
        if name.startswith("network.")
    }
    load_weights(artefact.network, weights, path)
    return artefact


def _load_folder(folder: Path) -> Artefact:
    if (folder / GRAPH).is_file():
        raise InputError(
            f"folder {folder} is an ONNX export, which predict, report and serve take: give the model it was made of"
        )
    sidecar_file = folder / SIDECAR
    if not sidecar_file.is_file():
        raise InputError(f"folder {folder} holds no {SIDECAR}: give a folder that `fit` exported, such as …/best")
    whole = folder / ENCODER if (folder / ENCODER).is_dir() else folder
    with damage_named(f"export folder {folder}", "export it again"):
        own_part, config = read_json(sidecar_file, OWN_PART), read_json(whole / "config.json", CONFIG)
        if config.get("model_type") == MODEL_TYPE:  # which stands beside the encoder's own
            raise ValueError(f"it holds no folder {ENCODER}")
        artefact = Artefact._make(own_part, config, read_tokenizer(folder))
        weights = {f"encoder.{name}": tensor for name, tensor in _encoder_weights(whole, artefact.network).items()}
        if (folder / HEAD_WEIGHTS).is_file():
            weights |= {f"head.{name}": tensor for name, tensor in load_file(folder / HEAD_WEIGHTS).items()}
    load_weights(artefact.network, weights, folder)
    return artefact


def stored_labels(stored: dict[str, Any]) -> LabelSpace:
    """The label space that a description holds.

    Raises:
        ValueError: If it holds none.
    """
    try:
        return LabelSpace.from_dict(stored)
    except InputError as error:  # it is said to whoever declares labels, and here nobody does
        raise ValueError(str(error)) from error


def stored_stride(own_part: dict[str, Any]) -> int | None:
    """How many subwords windows repeat, as a description has it.

    Raises:
        ValueError: If that is no such number.
    """
    stride: int | None = own_part.get("stride")
    if stride is not None and not (type(stride) is int and 0 <= stride < own_part["max_length"]):
        raise ValueError(f"stride is {stride!r}, no number of subwords below max_length {own_part['max_length']}")
    return stride


def _encoder_weights(folder: Path, network: Network) -> dict[str, Tensor]:
    # through from_pretrained, which knows the names older versions of an architecture saved under
    with quiet_transformers():
        options = model_options(network.head, network.config)
        load: Any = type(network.encoder).from_pretrained
        model, loaded = load(
            folder,
            config=network.config,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # and refused below, by name
            output_loading_info=True,
            **options,
        )
    if random := made_up(loaded):
        raise ValueError(f"{len(random)} tensors are missing or of another shape, such as {random[0]}")
    state: dict[str, Tensor] = model.state_dict()
    return state


def load_weights(module: nn.Module, weights: dict[str, Tensor], path: str | Path, *, strict: bool = True) -> None:
    """Load stored weights into the module their description made.

    Raises:
        InputError: If some are missing, too many or of another shape.
    """
    try:
        module.load_state_dict(weights, strict=strict)
    except RuntimeError as error:
        raise InputError(
            f"{path} does not hold the weights its own description asks for ({reason(error)}): use another"
        ) from error


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _full_disk(kind: type[Exception]) -> Iterator[None]:
    """Raise as an `OSError` what a library says of a disk that is full in a class of its own."""
    try:
        yield
    except OSError:
        raise
    except kind as error:
        raise OSError(str(error)) from error
