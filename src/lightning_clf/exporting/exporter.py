"""An export: written, held against its model, and given its name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from lightning_clf.artefact import GRAPH, Artefact, load_artefact
from lightning_clf.decision import Decision
from lightning_clf.digest import weights_digest
from lightning_clf.errors import InputError
from lightning_clf.exporting.card import Format, model_card
from lightning_clf.exporting.checking import Comparison, compare, one_thread
from lightning_clf.exporting.provenance import CONFIG, find_provenance
from lightning_clf.exporting.setfit_folder import check_setfit, read_setfit, write_setfit
from lightning_clf.exporting.tracing import quantise, write_graph
from lightning_clf.files import write_folder
from lightning_clf.graph import load_runnable
from lightning_clf.inference import Classifier
from lightning_clf.inference.target import check_target
from lightning_clf.network import Network, quiet_transformers
from lightning_clf.scorer import Runnable

_TOLERANCES: dict[Format, float] = {"hf": 1e-5, "onnx": 1e-4, "setfit": 1e-5}
"""How much a probability may differ; those that are rounded on purpose have none."""


@dataclass(frozen=True)
class Export:
    """What was written, and what it is against its model.

    Attributes:
        format: How it was written.
        comparison: Both on the same rows.
        source_bytes: What the model's weights take.
        export_bytes: What those of the export take.
    """

    format: Format
    comparison: Comparison
    source_bytes: int
    export_bytes: int


def export(
    model: str,
    format: Format,
    target: str,
    source: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Export:
    """Write a model for others, unless it would answer otherwise there.

    Args:
        model: A checkpoint or an export folder.
        format: `hf` for stock `transformers`, `onnx` for onnxruntime, `onnx-int8` for it with small weights, `setfit`
            for the package of that name, whose folder holds a pickle.
        target: The folder to write.
        source: A file of rows, labelled or not, on which both are compared; `None` takes built-in sentences.
        columns: Names of columns, by role (`text`, `text_pair`, `tokens`, `label`), and the `separator` of labels.

    Raises:
        InputError: If the model or a row is not as it should be, a package is missing, the model cannot be written this
            way, the export answers otherwise, or the folder would take the place of something else. Nothing is written
            then.
    """
    check_target(model, target)
    artefact = load_artefact(model)
    if format == "setfit":
        check_setfit(artefact)
    # a decision makes other answers of the same weights, which were scored without one
    weights = weights_digest(artefact.network) if artefact.decision == Decision() else None
    provenance = find_provenance(model, weights)
    with write_folder(Path(target)) as folder, one_thread():
        if format == "hf":
            artefact.write(folder)
        elif format == "setfit":
            write_setfit(artefact, folder)
        else:
            _write_graph(artefact, folder, small=format == "onnx-int8")
        read = read_setfit(folder, artefact) if format == "setfit" else _read_back(folder, artefact)
        comparison = compare(Classifier(artefact, columns), Classifier(read, columns), source, columns or {})
        _check(comparison, format)
        written = sum(file.stat().st_size for file in folder.glob("*") if file.suffix in (".onnx", ".safetensors"))
        made = Export(format, comparison, _size(artefact.network), written)
        (folder / "README.md").write_text(model_card(artefact, format, provenance, comparison), encoding="utf-8")
        if provenance.config is not None:
            (folder / CONFIG).write_text(provenance.config, encoding="utf-8")
    return made


def _write_graph(artefact: Artefact, folder: Path, *, small: bool) -> None:
    write_graph(artefact.network, artefact.tokenizer.model_input_names, folder / GRAPH)
    if small:
        quantise(folder / GRAPH)
    with quiet_transformers():
        artefact.network.config.save_pretrained(folder)
    artefact.write_beside(folder)


def _read_back(folder: Path, artefact: Artefact) -> Runnable:
    """What others will have: with the architecture's own head, the stock model as it is, without our shortcuts."""
    read = load_runnable(folder)
    if isinstance(read.network, Network) and artefact.network.head.is_stock:
        with quiet_transformers():
            read.network.encoder = (
                artefact.network.head.auto_class().from_pretrained(folder, dtype=torch.float32).eval()
            )
    return read


def _check(comparison: Comparison, format: Format) -> None:
    allowed = _TOLERANCES.get(format, math.inf)
    if not comparison.difference <= allowed:  # which what is no number is not either
        raise InputError(
            f"the {format} export answers otherwise than its model, by {comparison.difference:.2g} where {allowed:g} "
            "is allowed, and was not written: export it in another format"
        )


def _size(network: Network) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
