"""The classifiers of several tasks on one encoder, on disk: written as one folder, read from it or from a checkpoint.

The folder holds a stock model for each task, under its name, and beside these what answers all tasks at once: the bare
encoder once, in the folder `encoder`, with the tokenizer; what stands on it in `heads.safetensors`, a tensor's name
beginning with its task's; and all that weights do not say in `lightning_clf.json`. The tasks' own folders are whole
without this, and this without them.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from lightning_clf.artefact import SIDECAR, Artefact, artefact_from, stored_tasks
from lightning_clf.checkpoint import OTHER, SECTION, TASKS, merge_stored, read_checkpoint
from lightning_clf.encoding.tokenizer import ENCODER, Tokenizer, read_tokenizer
from lightning_clf.exported import full_disk, load_weights, read_encoder, write_json, write_tokenizer
from lightning_clf.files import check_model, write_folder
from lightning_clf.finetuning.adapters import adapter_scaling, plain_state
from lightning_clf.graph import load_runnable
from lightning_clf.network import Network, quiet_transformers
from lightning_clf.scorer import Runnable
from lightning_clf.stored import CONFIG, OWN_PART, check, check_task_names, damage_named
from lightning_clf.trunk import Trunk

HEADS = "heads.safetensors"
"""The file of a folder of several tasks that holds what of each stands on the encoder."""
_OF_ONE_TASK = ("id2label", "label2id", "num_labels", "problem_type", "thresholds")
_TRUNK = "trunk.encoder."  # what `MultiTaskClassifier` calls the encoder in its state


@dataclass
class TaskArtefacts:
    """The networks of several tasks, and what their input must go through.

    Attributes:
        trunk: The encoder of all.
        parts: The artefact of each task, by its name. Their networks stand on the trunk, and have one tokenizer.
    """

    trunk: Trunk
    parts: dict[str, Artefact]

    @classmethod
    def under(cls, parts: Iterable[tuple[str, Artefact]]) -> Self:
        """Take the encoders out of artefacts that were made on the same one, and put one of them under all.

        Args:
            parts: The tasks' names and artefacts, which may be made as they are asked for.
        """
        kept: dict[str, Artefact] = {}

        def networks() -> Iterator[Network]:
            for name, part in parts:
                kept[name] = part
                yield part.network

        return cls(Trunk.under(networks()), kept)

    def whole(self, name: str) -> Artefact:
        """The artefact of one task, with the encoder in it."""
        part = self.parts[name]
        return replace(part, network=self.trunk.whole(part.network))

    @property
    def tokenizer(self) -> Tokenizer:
        """The encoder's tokenizer."""
        return next(iter(self.parts.values())).tokenizer

    def eval(self) -> Self:
        """The same, to predict with."""
        for module in (self.trunk, *(part.network for part in self.parts.values())):
            module.eval()
        return self

    # ------------------------------------------------------------------ in a checkpoint

    def describe(self) -> dict[str, Any]:
        """All tasks without their weights, in primitives and tensors, as a checkpoint holds them."""
        scaling = adapter_scaling(self.trunk)
        return {name: {**part.describe(), "adapter_scaling": scaling} for name, part in self.parts.items()}

    @classmethod
    def from_descriptions(cls, stored: Mapping[str, Any], source: str = "the checkpoint") -> Self:
        """Networks with random weights, as `describe` put them down.

        Args:
            stored: What stands in a checkpoint that `read_checkpoint` read.
            source: What a message calls the checkpoint.

        Raises:
            InputError: If no network or tokenizer can be made of it, or it names a class that is not to be had.
        """
        return cls.under((name, Artefact.from_description(one, source)) for name, one in stored.items())

    # ------------------------------------------------------------------ in a folder

    def save(self, folder: str | Path) -> None:
        """Write the folder of all tasks, with one of each below: in whole under its final name, or not at all.

        Raises:
            InputError: If the folder cannot be written, or the disk is full. What stood there before still stands.
        """
        with write_folder(Path(folder)) as temporary:
            for name in self.parts:
                (temporary / name).mkdir()
                self.whole(name).write(temporary / name)
            self._write_together(temporary)

    def _write_together(self, folder: Path) -> None:
        with full_disk(SafetensorError), quiet_transformers():
            encoder = _without_labels(self.trunk.encoder)
            encoder.save_pretrained(folder / ENCODER, state_dict=plain_state(encoder))
            heads = {
                f"{name}.{key}": tensor.contiguous()
                for name, part in self.parts.items()
                for key, tensor in part.network.state_dict().items()
            }
            save_file(heads, folder / HEADS)
        write_tokenizer(self.tokenizer, folder / ENCODER)
        parts = {name: {"config": part.config(), **part.own_part()} for name, part in self.parts.items()}
        write_json(folder / SIDECAR, {TASKS: parts})

    @classmethod
    def _read_folder(cls, folder: Path) -> Self:
        with damage_named(f"export folder {folder}", "export it again"):
            stored = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))[TASKS]
            check_task_names(stored)
            check(stored, {name: {**OWN_PART, "config": CONFIG} for name in stored}, SIDECAR)
            tokenizer = read_tokenizer(folder / ENCODER)
            found = cls.under((name, Artefact.make(one, one["config"], tokenizer)) for name, one in stored.items())
            encoder = read_encoder(folder / ENCODER, found.trunk.encoder, _pooling(found.trunk.encoder))
            heads = load_file(folder / HEADS)
        found._load(encoder, {name: _below(heads, f"{name}.") for name in found.parts}, folder)
        return found

    @classmethod
    def _from_checkpoint(cls, checkpoint: Mapping[str, Any], path: Path) -> Self:
        found = cls.from_descriptions(checkpoint[SECTION][TASKS], f"checkpoint {path}")
        with damage_named(f"checkpoint {path}", OTHER):
            state = merge_stored(checkpoint)
            heads = {name: _below(state, f"modules_by_task.{name}_task.network.") for name in found.parts}
        found._load(_below(state, _TRUNK), heads, path)
        return found

    def _load(self, encoder: dict[str, Tensor], heads: Mapping[str, dict[str, Tensor]], path: Path) -> None:
        load_weights(self.trunk.encoder, encoder, path)
        for name, part in self.parts.items():
            load_weights(part.network, heads[name], path)


def load_trained(path: str | Path) -> Runnable | TaskArtefacts:
    """Read a checkpoint or an export folder, of one task or of several at once.

    Raises:
        InputError: If it is neither, it is damaged, or a package that it needs is missing.
    """
    path = Path(path)
    check_model(path)
    if path.is_dir():
        return TaskArtefacts._read_folder(path).eval() if stored_tasks(path) else load_runnable(path)
    checkpoint = read_checkpoint(path)
    if TASKS in checkpoint[SECTION]:
        return TaskArtefacts._from_checkpoint(checkpoint, path).eval()
    return artefact_from(checkpoint, path)


def _without_labels(encoder: PreTrainedModel) -> PreTrainedModel:
    """The same encoder with a configuration that speaks of no task."""
    config = encoder.config
    kept = {key: value for key, value in config.to_dict().items() if key not in _OF_ONE_TASK}
    bare: PreTrainedModel = copy.copy(encoder)
    bare.config = type(config).from_dict(kept)
    return bare


def _pooling(encoder: PreTrainedModel) -> dict[str, Any]:
    """What the encoder is made with besides its configuration."""
    if "add_pooling_layer" not in inspect.signature(type(encoder).__init__).parameters:
        return {}
    return {"add_pooling_layer": getattr(encoder, "pooler", None) is not None}


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
