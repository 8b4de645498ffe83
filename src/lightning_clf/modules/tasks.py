"""The module of one of several tasks, and what its loss counts beside those of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict, get_args

import torch
from torch import Tensor, nn

from lightning_clf.checkpoint import SECTION, TASKS
from lightning_clf.errors import InputError, check_number
from lightning_clf.heads import Head
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.losses import ClassWeights, Loss
from lightning_clf.modules.base import ClassifierModule
from lightning_clf.modules.multi_label import MultiLabelClassifier
from lightning_clf.modules.similarity import SimilarityRegressor
from lightning_clf.modules.single_label import SingleLabelClassifier
from lightning_clf.modules.token import TokenClassifier

Uncertainty = Literal["uncertainty"]
LossWeights = Uncertainty | dict[str, float]

_MODULES: dict[Kind, type[ClassifierModule]] = {
    "single": SingleLabelClassifier,
    "multi": MultiLabelClassifier,
    "tags": TokenClassifier,
    "score": SimilarityRegressor,
}


class TaskOptions(TypedDict, total=False):
    """What one task has of its own, as the module for its kind of label takes it.

    Attributes:
        head: What stands on the encoder; the architecture's own by default.
        loss: What is minimised; the kind's own by default.
        class_weights: Shorthand for the kind's own loss with weights.
        train_continuations: For tags, whether a word's later subwords are trained too.
    """

    head: Head | None
    loss: Loss | None
    class_weights: ClassWeights | None
    train_continuations: bool


def check_tasks(data: Sequence[str], trained: Sequence[str], keys: Mapping[str, Iterable[str]]) -> None:
    """Hold the tasks of the data against those a module is of.

    Args:
        data: The tasks of the data.
        trained: Those the module was trained on; none where it is new.
        keys: Those that each key of the module names.

    Raises:
        InputError: If they are others.
    """
    if trained and data != trained:
        raise InputError(
            f"data.tasks are {', '.join(data)}, but the model was trained on {', '.join(trained)}: give the same in "
            "that order, or train anew"
        )
    for key, given in keys.items():
        for name in given:
            if name not in data:
                raise InputError(f"model.{key} has {name!r}, which is none of data.tasks: {', '.join(data)}")


def tasks_of(checkpoint: Mapping[str, Any], trained: Sequence[str]) -> dict[str, Any]:
    """What a checkpoint holds of each task.

    Args:
        checkpoint: The checkpoint.
        trained: The tasks a module is built for; none where it is not built.

    Raises:
        InputError: If it is not of several tasks, or of others.
    """
    stored: dict[str, Any] | None = checkpoint.get(SECTION, {}).get(TASKS)
    if stored is None:
        raise InputError("the checkpoint is not of a MultiTaskClassifier: use one of that class")
    if trained and list(stored) != list(trained):
        raise InputError(
            f"the checkpoint is of the tasks {', '.join(stored)}, the data are of {', '.join(trained)}: use another, "
            "or name the same tasks in that order"
        )
    return stored


def make_part(name: str, kind: Kind, options: Mapping[str, Any], **common: Any) -> ClassifierModule:
    """The module of a task, not built.

    Args:
        name: The task.
        kind: The kind of its labels.
        options: Its `TaskOptions`.
        **common: What the modules of all tasks take.

    Raises:
        InputError: If its options do not fit the kind.
    """
    if kind != "tags" and "train_continuations" in options:
        raise InputError(
            f"model.tasks.{name}.train_continuations is for tags, and its labels are of kind {kind}: leave it out"
        )
    try:
        return _MODULES[kind](**common, **options)
    except InputError as error:
        raise InputError(str(error).replace("model.", f"model.tasks.{name}.")) from error


# The logarithm of a variance has to come from 0 to that of a loss, 4 or so away, within some hundred steps. AdamW moves
# a number by about its rate, and at an encoder's it would stay where it began.
_RATE = 0.05


class TaskWeights(nn.Module):
    """What the loss of each task counts.

    Args:
        weights: A number for each task, 1 where none is given; or `uncertainty` (Kendall, Gal and Cipolla 2018,
            "Multi-Task Learning Using Uncertainty to Weigh Losses").

    Raises:
        InputError: If they are no such thing.
    """

    def __init__(self, weights: LossWeights | None) -> None:
        super().__init__()
        self.fixed = weights if isinstance(weights, dict) else {}
        self.are_learned = weights in get_args(Uncertainty)
        if isinstance(weights, str) and not self.are_learned:
            raise InputError(f"model.loss_weights is {weights!r}: use uncertainty, or a mapping from tasks to weights")
        for name, weight in self.fixed.items():
            check_number(f"model.loss_weights.{name}", weight, least=0)
        self.log_variances = nn.ParameterDict()

    def build(self, names: Sequence[str]) -> None:
        """Make what is learned, for these tasks.

        Raises:
            InputError: If the loss of none of them counts.
        """
        if not any(self.fixed.get(name, 1.0) for name in names):
            raise InputError("model.loss_weights are all 0, so that nothing would be learned: raise one")
        if self.are_learned:
            self.log_variances = nn.ParameterDict({f"{name}_task": torch.zeros(()) for name in names})

    def learned(self, name: str) -> list[nn.Parameter]:
        """What is learned for a task."""
        return [self.log_variances[f"{name}_task"]] if self.are_learned else []

    def apart(self, groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Groups of parameters in which what is learned here is one of its own, which moves faster."""
        own = {id(parameter) for parameter in self.parameters()}
        others = [
            {**group, "params": [parameter for parameter in group["params"] if id(parameter) not in own]}
            for group in groups
        ]
        return [*others, {"params": list(self.parameters()), "weight_decay": 0.0, "lr": _RATE}] if own else others

    def forward(self, mean: Tensor, name: str, labels: LabelSpace) -> Tensor:
        """What the mean loss of a task counts: λL, or L·e^(−s) + s/2, for a score L·e^(−s)/2 + s/2.

        Args:
            mean: Its mean over places: examples or words; with many labels, over each label of each example.
            name: The task.
            labels: Its label space. With C labels of kind `multi`, L is C times the mean, the sum over labels.
        """
        loss = mean * len(labels) if labels.kind == "multi" else mean
        if not self.are_learned:
            return loss * self.fixed.get(name, 1.0)
        log_variance: Tensor = self.log_variances[f"{name}_task"]
        scale = 0.5 if labels.kind == "score" else 1.0
        return scale * loss * (-log_variance).exp() + log_variance / 2
