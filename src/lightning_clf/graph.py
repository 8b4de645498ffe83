"""A trained classifier as a graph that onnxruntime computes: the same head decodes, and the same decision decides."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PretrainedConfig

from lightning_clf.artefact import GRAPH, HEAD_WEIGHTS, SIDECAR, load_artefact
from lightning_clf.batch import Batch
from lightning_clf.component import from_spec
from lightning_clf.decision import Decision
from lightning_clf.encoding.tokenizer import read_tokenizer
from lightning_clf.errors import InputError, need, reason
from lightning_clf.exported import load_weights
from lightning_clf.heads.base import Head
from lightning_clf.heads.pooling import gather_words
from lightning_clf.heads.windows import mean_of_windows
from lightning_clf.labels import LabelSpace
from lightning_clf.scorer import Runnable, Scorer, over_windows, restore_config
from lightning_clf.stored import CONFIG, OWN_PART, damage_named, read_json, stored_labels, stored_stride

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class GraphScorer(Scorer):
    """A graph in the place of an encoder, on the CPU, with as many threads as PyTorch has when it is loaded.

    Args:
        session: The graph. Its inputs are of the tokenizer's; its output is `logits`, `[N,C]`, or `[N,T,C]` for tags.
        config: The configuration of the encoder it was made of.
        head: Decodes; its parameters count where decoding reads them, as that of a CRF does.
        labels: The label space.
    """

    def __init__(self, session: InferenceSession, config: PretrainedConfig, head: Head, labels: LabelSpace) -> None:
        super().__init__(head, labels)
        self.session = session
        self._config = config
        self._inputs = [entry.name for entry in session.get_inputs()]

    @property
    def config(self) -> PretrainedConfig:
        """The configuration of the encoder that the graph was made of."""
        return self._config

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> Self:  # type: ignore[override]
        """Stay on the CPU as it is.

        Raises:
            InputError: If something else is asked for.
        """
        if device is not None and torch.device(device).type != "cpu":
            raise InputError(f"device {str(device)!r} cannot be used: an ONNX export runs on the cpu; leave it out")
        if dtype not in (None, torch.float32):
            raise InputError(f"an ONNX export computes as it was written, not in {dtype}: leave the precision out")
        return self

    def forward(self, batch: Batch) -> Tensor:
        """Scores as `Network.forward` gives them: for tags, those of each word's first subword."""
        logits = over_windows(self._compute, batch)
        if self.labels.kind == "tags":
            return gather_words(logits, batch)
        logits = mean_of_windows(logits, batch)
        return logits.squeeze(-1) if self.labels.kind == "score" else logits

    def _compute(self, inputs: dict[str, Tensor]) -> Tensor:
        try:
            found = self.session.run(["logits"], {name: inputs[name].numpy() for name in self._inputs})[0]
        except Exception as error:  # of onnxruntime's own classes, which have no base
            raise InputError(f"the ONNX graph cannot compute a batch ({reason(error)}): export it again") from error
        return torch.from_numpy(found)


def load_runnable(path: str | Path) -> Runnable:
    """Read an export folder, of weights or of a graph, or a checkpoint.

    Raises:
        InputError: If it is none of them, it is damaged, or a package that it needs is missing.
    """
    path = Path(path)
    return _load_graph(path) if (path / GRAPH).is_file() else load_artefact(path)


def onnxruntime() -> Any:
    """The package of the extra `onnx` that computes graphs.

    Raises:
        InputError: If it is not installed.
    """
    return need("onnxruntime", "ONNX exports need", "onnx")


def _load_graph(folder: Path) -> Runnable:
    runtime = onnxruntime()
    if not (folder / SIDECAR).is_file():
        raise InputError(f"folder {folder} holds no {SIDECAR}: give a folder that `export` wrote")
    with damage_named(f"export folder {folder}", "export it again"):
        own_part, stored = read_json(folder / SIDECAR, OWN_PART), read_json(folder / "config.json", CONFIG)
        labels, head = stored_labels(own_part["labels"]), from_spec(own_part["head"], Head)
        config = restore_config(stored, head, labels)
        network = GraphScorer(_session(runtime, folder / GRAPH), config, head, labels)
        with (folder / GRAPH).open("rb") as graph:
            network.program = hashlib.file_digest(graph, "sha256").hexdigest()
        network.set_decision(Decision.from_dict(own_part.get("decision", {})))
        tokenizer, stride = read_tokenizer(folder), stored_stride(own_part)
        weights = load_file(folder / HEAD_WEIGHTS) if (folder / HEAD_WEIGHTS).is_file() else {}
    load_weights(head, weights, folder)
    network.eval()
    return Runnable(
        network, tokenizer, own_part["max_length"], own_part["columns"], stride, own_part.get("symmetric") is True
    )


def _session(runtime: Any, file: Path) -> InferenceSession:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # an error is raised too, and the rest is about its own optimisations
    session: InferenceSession = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    outputs = [entry.name for entry in session.get_outputs()]
    if outputs != ["logits"]:
        raise ValueError(f"the graph's outputs are {', '.join(outputs)}, not logits")
    return session
