"""A network as a graph for onnxruntime: in float32, or with weights of eight bits."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from lightning_clf.errors import InputError, reason
from lightning_clf.graph import onnxruntime
from lightning_clf.network import Network
from lightning_clf.token_logits import check_tokens, token_logits

_OPSET = 18  # not the newest there is, so that runtimes of some years ago read it
_ROWS, _TOKENS = 3, 8  # of the batch that is traced


class _Graph(nn.Module):
    """What is traced: tensors in, logits out, those of tags for each subword.

    Args:
        network: The network.
        names: What the inputs are called, in their order.
    """

    def __init__(self, network: Network, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *given: Tensor) -> Tensor:
        """Inputs `[N,T]` to `[N,C]`, `[N,T,C]` for tags, or `[N,1]` for scores."""
        return token_logits(self.network, dict(zip(self.names, given, strict=True)))


def write_graph(network: Network, inputs: list[str], file: Path) -> None:
    """Trace a network.

    Args:
        network: The network, on the CPU.
        inputs: What its tokenizer makes. Those the encoder does not read are left out.
        file: The file to write. Rows and tokens of a batch may be of any number.

    Raises:
        InputError: If the head, or the architecture, cannot be written this way, or a package is missing.
    """
    check_tokens(network.head, "a graph", "export it as hf")
    onnxruntime()
    names: list[str] = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in inputs]
    axes: dict[str, dict[int, str]] = {name: {0: "batch", 1: "tokens"} for name in names}
    axes["logits"] = {0: "batch", 1: "tokens"} if network.labels.kind == "tags" else {0: "batch"}
    graph = _Graph(network, names).eval()
    try:
        with _quiet(), torch.inference_mode():
            torch.onnx.export(
                graph,
                _example(network, names),
                file,
                input_names=names,
                output_names=["logits"],
                dynamic_axes=axes,
                opset_version=_OPSET,
                # the other one takes longer, and writes the stack trace of each operator, paths and all, into the file
                dynamo=False,
            )
    except OSError:
        raise
    except Exception as error:  # what an architecture does that has no operator can fail in any way
        raise InputError(
            f"the architecture {network.config.model_type} cannot be written as an ONNX graph ({reason(error)}): "
            "export it as hf"
        ) from error


def quantise(file: Path) -> None:
    """Write the weights of products and of embeddings in eight bits, in the place of float32.

    Each column of a matrix has a scale of its own. Activations are rounded as they come ("dynamic"), so that no rows
    are needed. Weights take seven of the eight bits, since sums of products overflow on processors without VNNI else.

    Args:
        file: The graph, which is replaced.

    Raises:
        InputError: If a package is missing.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise InputError("onnx-int8 needs the packages onnx, onnxruntime: pip install 'lightning-clf[onnx]'") from error
    with _quiet(), tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        small = Path(scratch) / file.name
        quantize_dynamic(file, small, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        small.replace(file)


def _example(network: Network, names: list[str]) -> tuple[Tensor, ...]:
    """A batch of no meaning with padding, so that what padding does is traced."""
    ids = torch.arange(_ROWS * _TOKENS).view(_ROWS, _TOKENS) % network.config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, _TOKENS // 2 :] = 0
    ids = torch.where(mask.bool(), ids, network.config.pad_token_id or 0)
    example = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    return tuple(example[name] for name in names)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the exporters say of themselves, and of shapes in a graph that is checked afterwards."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
