"""How much of an encoder moves, and how fast."""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import nn
from transformers import PreTrainedModel

from lightning_clf.component import Component
from lightning_clf.errors import InputError, check_number
from lightning_clf.finetuning.depth import depths, parts_by_depth
from lightning_clf.finetuning.optimizer import parameter_groups

Freeze = Literal["nothing", "embeddings", "encoder"]


class FineTuning(Component):
    """What is frozen, what is unfrozen when, and the learning rate of each depth.

    An encoder of L layers has L + 2 depths: 0 the embeddings, i + 1 layer i counted from 0, and L + 1 the head with
    what else lies above the layers, such as a pooler or a last norm.

    The learning rate of depth d is `learning_rate × layer_decay^(L + 1 − d)`: discriminative fine-tuning (Howard and
    Ruder 2018), known as layer-wise learning-rate decay (Clark et al. 2020; Bao et al. 2022). Matrices decay in weight
    at every depth, biases and norms at none. A schedule's factor is on top of all.

    What is frozen for good gets no gradient, costs no backward pass and is in no group of the optimiser. It runs in
    evaluation mode, without dropout: it is a fixed function, whose features are in training what they are in use.

    Gradual unfreezing (Howard and Ruder 2018) trains the head alone at first. At equal steps over the first
    `unfreeze_over` of training, `n = round(unfreeze_over × steps)`, the next depth below is unfrozen: of K depths,
    `⌊step × K / n⌋` are. The embeddings are the last. What waits keeps its dropout, since it will train with it. Which
    depths move is a function of the step alone, so that a run that goes on needs no state of it.

    Args:
        freeze: What does not move: `nothing`, the `embeddings`, or the whole `encoder` with all its layers, which is
            linear probing for a linear head.
        freeze_layers: How many of the first layers do not move, and the embeddings with them (Lee et al. 2019).
        layer_decay: The factor from one depth to the next below. 1 is one rate for all; Clark et al. use 0.8 for small
            and base encoders and 0.9 for large ones.
        head_learning_rate: The rate of depth L + 1 in place of the module's `learning_rate`, for a new head on slow
            layers; the other depths are not changed by it.
        unfreeze_over: The share of training over which what is not frozen for good is unfrozen. 0 starts with all.

    Raises:
        InputError: If a number is out of bounds, or a frozen encoder is also to be frozen in part, decayed or unfrozen.
    """

    def __init__(
        self,
        freeze: Freeze = "nothing",
        freeze_layers: int = 0,
        layer_decay: float = 1.0,
        head_learning_rate: float | None = None,
        unfreeze_over: float = 0.0,
    ) -> None:
        if freeze not in get_args(Freeze):
            raise InputError(f"freeze is {freeze!r}: give one of {', '.join(get_args(Freeze))}")
        self.freeze = freeze
        self.freeze_layers = check_number("freeze_layers", freeze_layers, least=0, whole=True)
        self.layer_decay = check_number("layer_decay", layer_decay, above=0, most=1)
        if head_learning_rate is not None:
            head_learning_rate = check_number("head_learning_rate", head_learning_rate, above=0)
        self.head_learning_rate = head_learning_rate
        self.unfreeze_over = check_number("unfreeze_over", unfreeze_over, least=0, most=1)
        idle = {"freeze_layers": freeze_layers > 0, "layer_decay": layer_decay < 1, "unfreeze_over": unfreeze_over > 0}
        for key, given in idle.items():
            if freeze == "encoder" and given:
                raise InputError(f"{key} is given, but freeze: encoder leaves no layer to apply it to: leave one out")

    @property
    def unfreezes(self) -> bool:
        """Whether parameters that wait for a gradient are among those of a step, which DDP must be told to look for."""
        return self.unfreeze_over > 0

    def prepare(self, encoder: PreTrainedModel) -> None:
        """Freeze what never moves. Called before a strategy wraps the module; a second call changes nothing.

        Args:
            encoder: The encoder of the network that is to be trained.

        Raises:
            InputError: If the architecture cannot be read, or has fewer layers than are to be frozen.
        """
        parts = parts_by_depth(encoder)
        lowest = self._lowest(len(parts) - 1)
        for depth, modules in enumerate(parts):
            for module in modules:
                if depth < lowest:
                    module.requires_grad_(False)
                elif self.unfreezes:
                    module.requires_grad_(True)  # else DDP would never sum its gradients

    def settle(self, encoder: PreTrainedModel) -> None:
        """Put what never moves into evaluation mode. Called where training starts, which takes it as it finds it.

        Args:
            encoder: The encoder that is to be trained.
        """
        parts = parts_by_depth(encoder)
        for modules in parts[: self._lowest(len(parts) - 1)]:
            for module in modules:
                module.eval()

    def advance(self, encoder: PreTrainedModel, step: int, steps: int) -> None:
        """Let what is due at a step move, and nothing else.

        Args:
            encoder: The encoder that is being trained.
            step: The optimiser step, counted from 0.
            steps: How many there are in all.
        """
        if not self.unfreezes:
            return
        parts = parts_by_depth(encoder)
        layers = len(parts) - 1
        lowest = self._lowest(layers)
        moving = layers + 1 - self.unfrozen(layers + 1 - lowest, step, steps)
        for depth in range(lowest, layers + 1):
            for module in parts[depth]:
                module.requires_grad_(depth >= moving)

    def unfrozen(self, depths: int, step: int, steps: int) -> int:
        """How many of a number of depths below the head move at a step."""
        over = round(self.unfreeze_over * steps)
        return depths if step >= over else step * depths // over

    def groups(
        self, module: nn.Module, encoder: PreTrainedModel, learning_rate: float, weight_decay: float
    ) -> list[dict[str, Any]]:
        """The optimiser's groups: matrices and vectors of each depth that ever moves, from the lowest up.

        Args:
            module: What is trained: the encoder, its head, and a loss that has parameters.
            encoder: The encoder in it.
            learning_rate: The peak rate of the module.
            weight_decay: The decay of matrices.

        Raises:
            InputError: If depths are to be unfrozen after a head that does not move.
        """
        found, layers = depths(encoder), len(parts_by_depth(encoder)) - 1
        by_depth: dict[int, list[nn.Parameter]] = {depth: [] for depth in range(layers + 2)}
        for parameter in module.parameters():
            by_depth[found.get(id(parameter), layers + 1)].append(parameter)
        groups = []
        for depth, parameters in by_depth.items():
            rate = learning_rate * self.layer_decay ** (layers + 1 - depth)
            if depth == layers + 1 and self.head_learning_rate is not None:
                rate = self.head_learning_rate
            groups += parameter_groups(parameters, weight_decay, lr=rate, depth=depth)
        groups = [group for group in groups if group["params"]]
        if self.unfreezes and not any(group["depth"] > layers for group in groups):
            raise InputError(
                "unfreeze_over trains the head alone at first, but nothing of it is trained: leave it out, or take a "
                "head that is"
            )
        return groups

    def describe(self, module: nn.Module, encoder: PreTrainedModel, learning_rate: float) -> str:
        """What is trainable, in a few lines to read at the start of a fit; rates by depth if they differ."""
        groups = self.groups(module, encoder, learning_rate, 0.0)
        layers = len(parts_by_depth(encoder)) - 1
        total = sum(parameter.numel() for parameter in module.parameters())
        moving = sum(parameter.numel() for group in groups for parameter in group["params"])
        lines = [f"{type(self).__name__}: {moving:,} of {total:,} parameters are trainable ({moving / total:.2%})"]
        if self.unfreezes:
            lines.append(f"unfrozen from the top down over the first {self.unfreeze_over:.0%} of the steps")
        rates = {group["depth"]: group["lr"] for group in groups}
        if len(set(rates.values())) > 1:
            names = {0: "embeddings", layers + 1: "head"}
            lines.append("learning rate by depth:")
            lines += [
                f"  {names.get(depth, f'layer {depth - 1}'):<10} {rate:.3g}" for depth, rate in reversed(rates.items())
            ]
        return "\n".join(lines)

    def _lowest(self, layers: int) -> int:
        """The lowest depth that ever moves."""
        if self.freeze_layers > layers:
            raise InputError(
                f"freeze_layers is {self.freeze_layers}, but the encoder has {layers} to freeze: give {layers} or less"
            )
        if self.freeze_layers:
            return self.freeze_layers + 1
        return {"nothing": 0, "embeddings": 1, "encoder": layers + 1}[self.freeze]
