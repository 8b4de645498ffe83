"""One encoder below several networks: computed once for all that read the same texts.

Each network keeps what is its own, whether that is a head of ours or the part of a stock model above its encoder; the
encoder itself is taken out of it and stands here alone. What a network is exported as is put together again.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from lightning_clf.batch import Batch
from lightning_clf.network import Network

_POOLER = "pooler"


class Trunk(nn.Module):
    """The encoder of several networks.

    Attributes:
        encoder: The bare encoder, with a pooler where one of the networks reads one.
    """

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder
        self._inputs: Mapping[str, Tensor] | None = None
        self._output: Any = None

    @classmethod
    def under(cls, networks: Iterable[Network]) -> Self:
        """Take the encoders out of networks that were made on the same one, and put one of them under all.

        Args:
            networks: At least one. Where they are made as they are asked for, no more than two encoders are there at a
                time.
        """
        trunk: Self | None = None
        for network in networks:
            body: Any = network.encoder.base_model
            network.widen()
            if trunk is None:
                trunk = cls(body)
            elif _size(body) > _size(trunk.encoder):  # it has a pooler
                trunk.encoder = body
            stand_in = _StandIn(trunk, network.config, has_pooler=getattr(body, _POOLER, None) is not None)
            if body is network.encoder:
                network.encoder = stand_in  # type: ignore[assignment]  # which has all that a network asks of it
            else:
                setattr(network.encoder, network.encoder.base_model_prefix, stand_in)
            del body
        if trunk is None:
            raise ValueError("no network was given")
        return trunk

    @contextlib.contextmanager
    def shared(self, batch: Batch) -> Iterator[None]:
        """Compute a batch's inputs once, however many networks read them."""
        self._inputs, self._output = batch.inputs, None
        try:
            yield
        finally:
            self._inputs = self._output = None

    def forward(self, *args: Any, **inputs: Any) -> Any:
        """The encoder's output."""
        read = args[0] if args else inputs.get("input_ids")
        if self._inputs is None or read is not self._inputs["input_ids"]:
            return self.encoder(*args, **inputs)
        if self._output is None:
            self._output = self.encoder(*args, **inputs)
        return self._output

    def whole(self, network: Network) -> Network:
        """A network that stands here, as one that stands alone. It shares its weights with what is here."""
        stand_in = network.encoder if isinstance(network.encoder, _StandIn) else network.encoder.base_model
        body: Any = copy.copy(self.encoder)
        body._modules = dict(body._modules)
        if not stand_in.has_pooler and getattr(body, _POOLER, None) is not None:
            body.pooler = None
        body.config = copy.copy(network.config)
        # packed layers ask for a mask of their own
        body.config._attn_implementation = self.encoder.config._attn_implementation
        encoder: Any = body
        if network.encoder is not stand_in:
            encoder = copy.copy(network.encoder)
            encoder._modules = {**network.encoder._modules, encoder.base_model_prefix: body}
        found = copy.copy(network)  # rather than a new one, which would put what is frozen into training mode
        found._modules = {**network._modules, "encoder": encoder}
        return found


class _StandIn(nn.Module):
    """What a network calls in the place of its encoder.

    Args:
        trunk: Where it is computed. Not a part of this: its weights are no network's own.
        config: The configuration of the network's encoder, which names the labels.
        has_pooler: Whether the encoder that stood here had a pooler.
    """

    def __init__(self, trunk: Trunk, config: PretrainedConfig, *, has_pooler: bool) -> None:
        super().__init__()
        self.config = config
        self.has_pooler = has_pooler
        self._trunk = (trunk,)  # a tuple, which hides it from PyTorch

    def forward(self, *args: Any, **inputs: Any) -> Any:
        """The encoder's output."""
        return self._trunk[0](*args, **inputs)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
