"""What answers a batch, and what rows go through before: all that prediction needs to know of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import AutoConfig, PretrainedConfig

from lightning_clf.batch import Batch
from lightning_clf.decision import Decision
from lightning_clf.encoding.tokenizer import Tokenizer
from lightning_clf.heads.base import Head
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.prediction import Prediction

_WINDOWS = 64  # that are computed at a time

# what stock pipelines read to choose between softmax, sigmoid and neither
ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
PROBLEM_TYPES: dict[Kind, ProblemType | None] = {
    "single": "single_label_classification",
    "multi": "multi_label_classification",
    "score": "regression",
    "tags": None,
}


class Scorer(nn.Module, ABC):
    """Scores batches, and makes answers of the scores; whether with PyTorch or another program is a subclass's matter.

    Attributes:
        head: What makes predictions of scores.
        labels: The label space.
        decision: What lies between scores and answers, besides the head's own `decode`.
        program: The digest of what computes scores, where that is more than the weights in its state; empty elsewhere.
    """

    program: str = ""

    def __init__(self, head: Head, labels: LabelSpace) -> None:
        super().__init__()
        self.head = head
        self.labels = labels
        self.decision = Decision()

    @property
    @abstractmethod
    def config(self) -> PretrainedConfig:
        """The encoder's configuration."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where batches are scored."""

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Scores: logits `[B,C]`, `[B,W,C]` for tags, or a number `[B]` for the kind `score`."""

    def set_decision(self, decision: Decision) -> None:
        """Answer by this decision from now on. Thresholds are in the configuration too, for who uses it without us.

        Raises:
            ValueError: If the decision is about other labels.
        """
        decision.check(self.labels)
        self.decision = decision
        if decision.thresholds is not None:
            self.config.thresholds = dict(decision.thresholds)
        else:
            drop_thresholds(self.config)

    def decide(self, scores: Tensor, batch: Batch) -> Prediction:
        """Turn scores into answers: calibrated, decoded by the head, and decided. Nothing else does."""
        return self.decision.decide(self.head.decode(self.decision.scaled(scores), batch))

    def predict(self, batch: Batch) -> Prediction:
        """Score and decide a batch."""
        return self.decide(self(batch), batch)


def over_windows(compute: Callable[[dict[str, Tensor]], Tensor], batch: Batch) -> Tensor:
    """Compute `[N,…]` of a batch's inputs; where texts have several windows, so many at a time that memory is bounded.

    Args:
        compute: What is to be computed of inputs `[N,T]` by name, each window by itself.
        batch: The batch.
    """
    windows = len(batch.window_to_example)
    if windows == len(batch) or windows <= _WINDOWS:
        return compute(batch.inputs)
    parts = (slice(start, start + _WINDOWS) for start in range(0, windows, _WINDOWS))
    return torch.cat([compute({name: values[part] for name, values in batch.inputs.items()}) for part in parts])


@dataclass
class Runnable:
    """A scorer and what its input must go through.

    Attributes:
        network: The scorer.
        tokenizer: Its tokenizer.
        max_length: The window it was trained with, in subwords.
        columns: The columns it was trained on, by role: `text`, `text_pair`, `tokens`, and `group` of what is ranked.
        stride: How many subwords each window of a long text repeats of the one before; `None` cuts texts off.
        symmetric: Whether pairs are read in both orders, whose scores are averaged.
    """

    network: Scorer
    tokenizer: Tokenizer
    max_length: int
    columns: dict[str, str]
    stride: int | None = None
    symmetric: bool = False

    @property
    def labels(self) -> LabelSpace:
        """The label space."""
        return self.network.labels

    @property
    def decision(self) -> Decision:
        """What lies between the network's scores and its answers."""
        return self.network.decision


def restore_config(config: dict[str, Any], head: Head, labels: LabelSpace) -> PretrainedConfig:
    """An encoder's configuration as it was stored, and a head built for it.

    Args:
        config: What `PretrainedConfig.to_dict` returned.
        head: The head, not yet built.
        labels: The label space that was stored beside it.

    Raises:
        ValueError: If the configuration is of other labels.
        Exception: Of any class, if transformers cannot make one of it.
    """
    options = {key: value for key, value in config.items() if key != "model_type"}
    restored = AutoConfig.for_model(config["model_type"], **options)
    _check_labels(restored, labels)
    head.attach(restored, labels)
    return restored


def _check_labels(config: PretrainedConfig, labels: LabelSpace) -> None:
    stored: Any = config.id2label
    for index in sorted(stored.keys() | labels.id2label.keys()):
        theirs, ours = stored.get(index), labels.id2label.get(index)
        if theirs != ours:
            raise ValueError(f"label {index} is {theirs!r} in the encoder's configuration, and {ours!r} in the labels")
    if config.problem_type != PROBLEM_TYPES[labels.kind]:
        raise ValueError(f"labels of kind {labels.kind} stand with the problem_type {config.problem_type!r}")


def drop_thresholds(config: PretrainedConfig) -> None:
    """Forget the thresholds of an export that an encoder is taken from, or that is calibrated again."""
    if hasattr(config, "thresholds"):
        del config.thresholds
