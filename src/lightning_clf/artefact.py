"""A trained classifier on disk: written as an export folder, read from such a folder or from a checkpoint.

An export folder is what `save_pretrained` writes (configuration, safetensors, tokenizer), so that stock `transformers`
loads it, with `lightning_clf.json` beside it for what a configuration has no place for. A head of our own adds
`head.safetensors`; stock code then loads the encoder without it.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lightning_clf.component import from_spec
from lightning_clf.decision import Decision
from lightning_clf.encoding.tokenizer import (
    Tokenizer,
    read_tokenizer,
    tokenizer_from_bytes,
    tokenizer_to_bytes,
)
from lightning_clf.errors import InputError, reason
from lightning_clf.files import check_checkpoint_file, replace_folder
from lightning_clf.finetuning.adapters import adapter_scaling, merged
from lightning_clf.heads.base import Head
from lightning_clf.labels import LabelSpace
from lightning_clf.network import Network, made_up, model_options, quiet_transformers
from lightning_clf.stored import COMPONENT, CONFIG, DESCRIPTION, MAPPING, OWN_PART, check, damage_named, read_json

SECTION = "lightning_clf"
"""The key under which a checkpoint holds all that loading needs besides the weights."""
FORMAT = 1
"""Which form that part has; another number when an older version could not read it."""
SIDECAR = "lightning_clf.json"
"""The file of an export folder that holds what a configuration has no place for."""
_HEAD_WEIGHTS = "head.safetensors"
_OTHER_CHECKPOINT = "use another, such as last.ckpt"


@dataclass
class Artefact:
    """A network and what its input must go through.

    Attributes:
        network: The network, on the CPU.
        tokenizer: Its tokenizer.
        max_length: The window it was trained with, in subwords.
        columns: The columns it was trained on, by role: `text`, `text_pair`, `tokens`.
    """

    network: Network
    tokenizer: Tokenizer
    max_length: int
    columns: dict[str, str]

    @property
    def labels(self) -> LabelSpace:
        """The label space."""
        return self.network.labels

    @property
    def decision(self) -> Decision:
        """What lies between the network's scores and its answers."""
        return self.network.decision

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
        with damage_named(source, _OTHER_CHECKPOINT):
            return cls._make(description, description["config"], tokenizer_from_bytes(description["tokenizer"]))

    @classmethod
    def _make(cls, own_part: dict[str, Any], config: dict[str, Any], tokenizer: Tokenizer) -> Artefact:
        network = Network.from_config(config, from_spec(own_part["head"], Head), _label_space(own_part["labels"]))
        max_length, positions = own_part["max_length"], network.max_positions
        if positions and max_length > positions:
            raise ValueError(f"max_length is {max_length}, and the encoder has {positions} positions")
        network.set_decision(Decision.from_dict(own_part.get("decision", {})))
        return cls(network, tokenizer, max_length, own_part["columns"])

    def save(self, folder: str | Path) -> None:
        """Write an export folder: in whole under its final name, or not at all.

        Raises:
            InputError: If the folder cannot be written, or the disk is full. What stood there before still stands.
        """
        folder = Path(folder)
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}.writing")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            self._write(temporary)
            replace_folder(temporary, folder)
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"export folder {folder} cannot be written ({reason(error)}): free space, or choose another"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _write(self, folder: Path) -> None:
        head_state = {name: tensor.contiguous() for name, tensor in self.network.head.state_dict().items()}
        encoder = self.network.encoder
        scaling = adapter_scaling(encoder)
        state = None if scaling is None else merged(encoder.state_dict(), scaling)
        with quiet_transformers():
            encoder.save_pretrained(folder, state_dict=state)
        if head_state:
            save_file(head_state, folder / _HEAD_WEIGHTS)
        _save_tokenizer(self.tokenizer, folder)
        sidecar = json.dumps(self._own_part(), indent=2, ensure_ascii=False)
        (folder / SIDECAR).write_text(sidecar + "\n", encoding="utf-8")
        allowed = 0o666 & ~_umask()
        for file in folder.iterdir():  # safetensors writes files that nobody else may read
            file.chmod(allowed)


def load_artefact(path: str | Path) -> Artefact:
    """Read an export folder or a checkpoint.

    Raises:
        InputError: If it is neither, or it is damaged.
    """
    path = Path(path)
    artefact = _load_folder(path) if path.is_dir() else _load_checkpoint(path)
    artefact.network.eval()
    return artefact


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of this library, tensors and primitives only.

    Raises:
        InputError: If there is no such file, it is cut off or damaged, or another program, or another version of this
            one, wrote it.
    """
    path = Path(path)
    check_checkpoint_file(path)
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"checkpoint {path} holds more than tensors and primitives, or is damaged: it was not read, since loading "
            "it could run code; use one that this library wrote"
        ) from error
    except Exception as error:  # a damaged file can make an unpickler raise anything
        raise InputError(f"checkpoint {path} is damaged or cut off: {_OTHER_CHECKPOINT}") from error
    if not isinstance(checkpoint, dict) or SECTION not in checkpoint:
        raise InputError(f"checkpoint {path} was not written by lightning-clf: use one that `fit` wrote")
    section = checkpoint[SECTION]
    if isinstance(section, dict) and (found := section.get("format")) != FORMAT:
        raise InputError(
            f"checkpoint {path} has format {found}, and this version of lightning-clf reads {FORMAT}: use the version "
            "that wrote it"
        )
    with damage_named(f"checkpoint {path}", _OTHER_CHECKPOINT):
        check(checkpoint, {"state_dict": MAPPING, SECTION: {"module": COMPONENT, "artefact": DESCRIPTION}}, "it")
    return checkpoint


def merge_stored(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The weights a checkpoint holds, with the adapters it was trained with added in, if there are any.

    Raises:
        InputError: If adapters are incomplete.
    """
    weights: dict[str, Tensor] = checkpoint["state_dict"]
    with damage_named("the checkpoint", _OTHER_CHECKPOINT):
        return merged(weights, checkpoint[SECTION]["artefact"].get("adapter_scaling"))


def _load_checkpoint(path: Path) -> Artefact:
    checkpoint = read_checkpoint(path)
    artefact = Artefact.from_description(checkpoint[SECTION]["artefact"], f"checkpoint {path}")
    weights = {
        name.removeprefix("network."): tensor
        for name, tensor in merge_stored(checkpoint).items()
        if name.startswith("network.")
    }
    load_weights(artefact.network, weights, path)
    return artefact


def _load_folder(folder: Path) -> Artefact:
    sidecar_file = folder / SIDECAR
    if not sidecar_file.is_file():
        raise InputError(f"folder {folder} holds no {SIDECAR}: give a folder that `fit` exported, such as …/best")
    with damage_named(f"export folder {folder}", "export it again"):
        own_part, config = read_json(sidecar_file, OWN_PART), read_json(folder / "config.json", CONFIG)
        artefact = Artefact._make(own_part, config, read_tokenizer(folder))
        weights = {f"encoder.{name}": tensor for name, tensor in _encoder_weights(folder, artefact.network).items()}
        if (folder / _HEAD_WEIGHTS).is_file():
            weights |= {f"head.{name}": tensor for name, tensor in load_file(folder / _HEAD_WEIGHTS).items()}
    load_weights(artefact.network, weights, folder)
    return artefact


def _label_space(stored: dict[str, Any]) -> LabelSpace:
    try:
        return LabelSpace.from_dict(stored)
    except InputError as error:  # it is said to whoever declares labels, and here nobody does
        raise ValueError(str(error)) from error


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


def _umask() -> int:
    """What new files keep from others; the system tells it only to who sets it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    try:
        tokenizer.save_pretrained(folder)
    except Exception as error:  # the tokenizers library has no class of its own for a disk that is full
        raise OSError(str(error)) from error
