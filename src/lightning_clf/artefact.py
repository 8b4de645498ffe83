"""A trained classifier on disk: written as an export folder, read from such a folder or from a checkpoint.

An export folder is what `save_pretrained` writes (configuration, safetensors, tokenizer), so that stock `transformers`
loads it, with `lightning_clf.json` beside it for what a configuration has no place for. Where a head of our own is on
it, that model is in the folder `encoder` below and the head in `head.safetensors`, and the configuration names a type
that stock code refuses, rather than put a head of random numbers on the encoder; `auto` knows that type.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

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
from lightning_clf.errors import InputError
from lightning_clf.exported import full_disk, load_weights, read_encoder, write_json, write_tokenizer
from lightning_clf.files import check_model, write_folder
from lightning_clf.finetuning.adapters import adapter_scaling, plain_state
from lightning_clf.heads.base import Head
from lightning_clf.network import Network, model_options, quiet_transformers
from lightning_clf.scorer import Runnable
from lightning_clf.stored import CONFIG, OWN_PART, damage_named, read_json, stored_labels, stored_stride

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
            "config": self.config(),
            "tokenizer": tokenizer_to_bytes(self.tokenizer),
            "adapter_scaling": adapter_scaling(self.network),
            **self.own_part(),
        }

    def config(self) -> dict[str, Any]:
        """The encoder's configuration in primitives."""
        config: dict[str, Any] = json.loads(self.network.config.to_json_string(use_diff=False))
        return config

    def own_part(self) -> dict[str, Any]:
        """What neither the encoder's configuration nor its tokenizer has a place for."""
        return {
            "head": self.network.head.spec(),
            "labels": self.labels.to_dict(),
            "max_length": self.max_length,
            "columns": self.columns,
            **({"stride": self.stride} if self.stride is not None else {}),
            **({"symmetric": True} if self.symmetric else {}),
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
            return cls.make(description, description["config"], tokenizer_from_bytes(description["tokenizer"]))

    @classmethod
    def make(cls, own_part: dict[str, Any], config: dict[str, Any], tokenizer: Tokenizer) -> Artefact:
        """An artefact with random weights.

        Args:
            own_part: What `own_part` put down.
            config: The encoder's configuration.
            tokenizer: Its tokenizer.

        Raises:
            Exception: Of any class, if no network can be made of them.
        """
        network = Network.from_config(config, from_spec(own_part["head"], Head), stored_labels(own_part["labels"]))
        max_length, positions = own_part["max_length"], network.max_positions
        if positions and max_length > positions:
            raise ValueError(f"max_length is {max_length}, and the encoder has {positions} positions")
        stride = stored_stride(own_part)
        network.set_decision(Decision.from_dict(own_part.get("decision", {})))
        return cls(network, tokenizer, max_length, own_part["columns"], stride, own_part.get("symmetric") is True)

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
        whole = folder if self.network.head.is_stock else folder / ENCODER
        with full_disk(SafetensorError), quiet_transformers():
            encoder.save_pretrained(whole, state_dict=plain_state(encoder))
        if whole != folder:
            write_tokenizer(self.tokenizer, whole)
            write_json(folder / "config.json", self._auto_config())
        self.write_beside(folder)

    def _auto_config(self) -> dict[str, Any]:
        """What an Auto class reads of an export whose head is ours."""
        task = "TokenClassification" if self.labels.kind == "tags" else "SequenceClassification"
        kept = ("id2label", "label2id", "problem_type", "pad_token_id", "thresholds")
        config = self.config()
        return {
            "model_type": MODEL_TYPE,
            "architectures": [f"LightningClfFor{task}"],
            **{key: config[key] for key in kept if key in config},
        }

    def write_beside(self, folder: Path) -> None:
        """Write what stands beside an encoder's own weights and configuration: head, tokenizer, description.

        Raises:
            OSError: If the disk is full.
        """
        head_state = {name: tensor.contiguous() for name, tensor in self.network.head.state_dict().items()}
        if head_state:
            with full_disk(SafetensorError):
                save_file(head_state, folder / HEAD_WEIGHTS)
        write_tokenizer(self.tokenizer, folder)
        write_json(folder / SIDECAR, self.own_part())


def load_artefact(path: str | Path) -> Artefact:
    """Read an export folder or a checkpoint.

    Raises:
        InputError: If it is neither, or it is damaged.
    """
    path = Path(path)
    check_model(path)
    return _load_folder(path) if path.is_dir() else artefact_from(read_checkpoint(path), path)


def artefact_from(checkpoint: dict[str, Any], path: Path) -> Artefact:
    """The artefact of a checkpoint of one task.

    Args:
        checkpoint: What `read_checkpoint` read.
        path: Where.

    Raises:
        InputError: If it is of several tasks, or damaged.
    """
    if TASKS in checkpoint[SECTION]:
        raise _of_several(f"checkpoint {path}", path.parent / "best", list(checkpoint[SECTION][TASKS]))
    artefact = Artefact.from_description(checkpoint[SECTION]["artefact"], f"checkpoint {path}")
    weights = {
        name.removeprefix("network."): tensor
        for name, tensor in merge_stored(checkpoint).items()
        if name.startswith("network.")
    }
    load_weights(artefact.network, weights, path)
    artefact.network.eval()
    return artefact


def _of_several(what: str, folder: Path, names: list[str]) -> InputError:
    return InputError(
        f"{what} is of several tasks ({', '.join(names)}): give the export of one, such as {folder / names[0]}"
    )


def _load_folder(folder: Path) -> Artefact:
    if (folder / GRAPH).is_file():
        raise InputError(
            f"folder {folder} is an ONNX export, which predict, report and serve take: give the model it was made of"
        )
    sidecar_file = folder / SIDECAR
    if not sidecar_file.is_file():
        raise InputError(f"folder {folder} holds no {SIDECAR}: give a folder that `fit` exported, such as …/best")
    if tasks := stored_tasks(folder):
        raise _of_several(f"folder {folder}", folder, tasks)
    whole = folder / ENCODER if (folder / ENCODER).is_dir() else folder
    with damage_named(f"export folder {folder}", "export it again"):
        own_part, config = read_json(sidecar_file, OWN_PART), read_json(whole / "config.json", CONFIG)
        if config.get("model_type") == MODEL_TYPE:  # which stands beside the encoder's own
            raise ValueError(f"it holds no folder {ENCODER}")
        artefact = Artefact.make(own_part, config, read_tokenizer(folder))
        network = artefact.network
        encoder = read_encoder(whole, network.encoder, model_options(network.head, network.config))
        weights = {f"encoder.{name}": tensor for name, tensor in encoder.items()}
        if (folder / HEAD_WEIGHTS).is_file():
            weights |= {f"head.{name}": tensor for name, tensor in load_file(folder / HEAD_WEIGHTS).items()}
    load_weights(network, weights, folder)
    network.eval()
    return artefact


def stored_tasks(folder: Path) -> list[str]:
    """The tasks that an export folder answers all at once; none where it is of one."""
    try:
        found = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # which whoever reads all of it names
        return []
    tasks = found.get(TASKS) if isinstance(found, dict) else None
    return list(tasks) if isinstance(tasks, dict) else []
