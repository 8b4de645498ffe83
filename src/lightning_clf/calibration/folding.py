"""Calibration put into the weights, so that whoever loads the network has it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from lightning_clf.decision import Scaling
from lightning_clf.network import Network

_PROBE = 8  # subwords of the input that shows whether logits changed as they should
_TOLERANCE = 1e-4


def fold(network: Network, scaling: Scaling) -> Scaling:
    """Put a scaling into the last layer of an architecture's own head, if that is a plain linear one.

    Which layer that is nobody says: it is the last one with an output a class, and whether it is, a forward pass shows.

    Args:
        network: The network, on the CPU, whose weights are changed.
        scaling: How its logits are to be scaled.

    Returns:
        The scaling, marked as done; or as it was, where another head or another last layer leaves it to be done.
    """
    layer = _last_layer(network)
    if layer is None or (scaling.scale and layer.bias is None):
        return scaling
    before = _probe(network)
    kept = {name: weight.detach().clone() for name, weight in layer.named_parameters()}
    with torch.no_grad():
        factors = layer.weight.new_tensor(scaling.scale or (1.0,), dtype=torch.float64) / scaling.temperature
        layer.weight.copy_(layer.weight.double() * factors[:, None])
        if layer.bias is not None:
            summands = layer.bias.new_tensor(scaling.bias or (0.0,), dtype=torch.float64)
            layer.bias.copy_(layer.bias.double() * factors + summands)
    wanted, found = scaling.apply(before), _probe(network)
    if torch.allclose(found, wanted, rtol=_TOLERANCE, atol=_TOLERANCE * float(wanted.abs().max())):
        return replace(scaling, in_weights=True)
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.copy_(kept[name])
    return scaling


def _last_layer(network: Network) -> nn.Linear | None:
    """The last linear layer of the architecture's own head, if it has an output a class."""
    if not network.head.is_stock:
        return None
    encoder = network.encoder
    body = encoder.base_model
    inside = set(body.modules()) if body is not encoder else set()
    linear = [module for module in encoder.modules() if isinstance(module, nn.Linear) and module not in inside]
    return linear[-1] if linear and linear[-1].out_features == len(network.labels) else None


def _probe(network: Network) -> Tensor:
    """The logits of an input of no meaning, `[1,C]` or `[1,T,C]`."""
    device = next(network.parameters()).device
    ids = torch.arange(_PROBE, device=device)[None] % network.config.vocab_size
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            logits: Tensor = network.encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    finally:
        network.train(training)
    return logits
