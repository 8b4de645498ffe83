"""What every head is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig

from lightning_clf.batch import Batch
from lightning_clf.component import Component
from lightning_clf.heads.decoding import DECODERS
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.loss_terms import LossTerms
from lightning_clf.prediction import Prediction

ALL_KINDS: frozenset[Kind] = frozenset(DECODERS)


class Head(Component, nn.Module, ABC):
    """Turns an encoder's hidden states into scores, and scores into predictions.

    A head is made with its own options alone; `build` gives it its parameters once the encoder and the labels are
    known, so that nobody counts classes or hidden sizes. To write one, subclass, and define `build` and `forward`.

    Attributes:
        kinds: The label kinds this head accepts.
        brings_loss: Whether the loss follows from the head's structure: it is `structural_loss` then, and no other.
        config: The encoder's configuration, once built.
        labels: The label space, once built.
    """

    kinds: ClassVar[frozenset[Kind]] = ALL_KINDS
    brings_loss: ClassVar[bool] = False
    config: PretrainedConfig
    labels: LabelSpace

    def attach(self, config: PretrainedConfig, labels: LabelSpace) -> None:
        """Tell the head what it stands on, and let it build."""
        self.config, self.labels = config, labels
        self.build(config.hidden_size, labels)

    @abstractmethod
    def build(self, hidden_size: int, labels: LabelSpace) -> None:
        """Make the parameters.

        Args:
            hidden_size: H, the width of the encoder's hidden states.
            labels: The label space; `len(labels)` is C.
        """

    @abstractmethod
    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Score a batch.

        Args:
            hidden: The encoder's last hidden states `[N,T,H]`; of the first token alone, `[N,1,H]`, where
                `reads_first_token` says so and the architecture allows it; and in training perhaps with zeros at
                all but first subwords, where `reads_first_subwords` does.
            batch: The batch they were computed from.

        Returns:
            Scores: logits `[B,C]`, `[B,W,C]` for tags, or a number `[B]` for the kind `score`; for texts also of each
            window, `[N,C]` or `[N]`, of which the mean is taken then. Those of a head that
            brings its loss may be of another shape: nothing but its own `structural_loss` and `decode` reads them.
        """

    def structural_loss(self, scores: Tensor, batch: Batch) -> LossTerms:
        """The loss of a head that brings one: scores, as `forward` gives them, against the batch's targets."""
        raise NotImplementedError(f"{type(self).__name__} brings no loss")

    def decode(self, scores: Tensor, batch: Batch) -> Prediction:
        """Turn scores into labels and probabilities."""
        return DECODERS[self.labels.kind](scores, batch, self.labels)

    def auto_class(self) -> Any:
        """Which `transformers` Auto class makes the encoder this head sits on."""
        return AutoModel

    @property
    def is_stock(self) -> bool:
        """Whether the encoder with this head on it is a model that `transformers` itself defines."""
        return False

    @property
    def gives_logits(self) -> bool:
        """Whether scores are one logit a label, of which a softmax or a sigmoid makes probabilities."""
        return not self.brings_loss and type(self).decode is Head.decode

    @property
    def reads_first_token(self) -> bool:
        """Whether nothing but the first token's hidden state is read, so that the last layer needs no other."""
        return False

    @property
    def reads_first_subwords(self) -> bool:
        """Whether nothing but hidden states at `Batch.first_subword` is read, so that the last layer needs no other."""
        return False

    def hidden(self, output: Any) -> Tensor:
        """What `forward` is given, taken from the encoder's output."""
        states: Tensor = output.last_hidden_state
        return states
