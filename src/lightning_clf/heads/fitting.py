"""A linear layer fitted to embeddings that stand still: by logistic regression, or by descent."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lightning_clf.component import Component
from lightning_clf.errors import InputError, check_number
from lightning_clf.labels import LabelSpace

_NEVER = -1e4  # a logit whose softmax is 0 beside any other, and that half precision holds

Layer = tuple[Tensor, Tensor]


class HeadFit(Component, ABC):
    """Finds the linear layer that tells embeddings apart. To write one, subclass and define `fit`."""

    def check(self) -> None:
        """Refuse before a fit what the end of it would lack. The default needs nothing.

        Raises:
            InputError: If a package is missing.
        """

    @abstractmethod
    def fit(self, embeddings: Tensor, targets: Tensor, labels: LabelSpace) -> Layer:
        """Fit to R rows of train. Nothing random is drawn: the same rows give the same layer.

        Args:
            embeddings: What each text is, `[R,H]` on the CPU.
            targets: Class indices `[R]`, or 0/1 `[R,C]` for the kind `multi`.
            labels: The label space.

        Returns:
            The weight `[C,H]` and the bias `[C]`, in float32.
        """


class LogisticFit(HeadFit):
    """Scikit-learn's logistic regression, in float64: softmax for one label of C, and each of many by itself.

    Of two classes it has one row of coefficients, w: theirs are here −w/2 and w/2, whose softmax is its sigmoid. A
    class that train lacks is never answered. A label of many that all R rows have, or none, is given the probability
    (n + 1) / (R + 2), n = R or 0 (Laplace's rule of succession), whatever the text.

    Args:
        l2: How strongly weights are held small: 1/C of scikit-learn, whose default is 1 as here.
        balanced: Whether each class weighs the same, however many rows it has.
        max_iter: The most steps of its solver.

    Raises:
        InputError: If a number is out of bounds.
    """

    def __init__(self, l2: float = 1.0, balanced: bool = False, max_iter: int = 1000) -> None:
        self.l2 = check_number("model.head_fit.l2", l2, above=0)
        self.balanced = balanced
        self.max_iter = check_number("model.head_fit.max_iter", max_iter, least=1, whole=True)

    def check(self) -> None:
        """Refuse to begin without scikit-learn.

        Raises:
            InputError: If it is not installed.
        """
        if importlib.util.find_spec("sklearn") is None:
            raise InputError(
                "model.head_fit LogisticFit needs the package scikit-learn: pip install 'lightning-clf[setfit]'"
            )

    def fit(self, embeddings: Tensor, targets: Tensor, labels: LabelSpace) -> Layer:
        """Fit by L-BFGS from zero."""
        features, answers = embeddings.double().numpy(), targets.numpy()
        if labels.kind == "multi":
            rows = [self._one_label(features, column) for column in answers.T]
            weight, bias = np.stack([row[0] for row in rows]), np.array([row[1] for row in rows])
        else:
            weight, bias = self._classes(features, answers, len(labels))
        return torch.from_numpy(weight).float(), torch.from_numpy(bias).float()

    def _solve(self, features: NDArray[Any], answers: NDArray[Any]) -> Any:
        from sklearn.linear_model import LogisticRegression

        weight = "balanced" if self.balanced else None
        # a finer tolerance than the default, by which a last digit of an embedding would show in the second of a logit
        return LogisticRegression(C=1 / self.l2, class_weight=weight, tol=1e-7, max_iter=self.max_iter).fit(
            features, answers
        )

    def _classes(self, features: NDArray[Any], answers: NDArray[Any], count: int) -> tuple[NDArray[Any], NDArray[Any]]:
        model = self._solve(features, answers)
        weight, bias = np.zeros((count, features.shape[1])), np.full(count, _NEVER)
        half = len(model.classes_) == 2
        weight[model.classes_] = np.concatenate([-model.coef_, model.coef_]) / 2 if half else model.coef_
        bias[model.classes_] = np.concatenate([-model.intercept_, model.intercept_]) / 2 if half else model.intercept_
        return weight, bias

    def _one_label(self, features: NDArray[Any], answers: NDArray[Any]) -> tuple[NDArray[Any], float]:
        had = int(answers.sum())
        if had in (0, len(answers)):
            return np.zeros(features.shape[1]), float(np.log((had + 1) / (len(answers) - had + 1)))
        model = self._solve(features, answers.astype(int))
        return model.coef_[0], float(model.intercept_[0])


class GradientFit(HeadFit):
    """A differentiable head: a linear layer trained from zero by AdamW on all rows at once, the encoder left as it is.

    Args:
        learning_rate: The rate, falling to 0 in a straight line. 1e-2 is SetFit's for such heads.
        weight_decay: The decay of weights. 0.01 is SetFit's.
        steps: How many steps.

    Raises:
        InputError: If a number is out of bounds.
    """

    def __init__(self, learning_rate: float = 1e-2, weight_decay: float = 0.01, steps: int = 500) -> None:
        self.learning_rate = check_number("model.head_fit.learning_rate", learning_rate, above=0)
        self.weight_decay = check_number("model.head_fit.weight_decay", weight_decay, least=0)
        self.steps = check_number("model.head_fit.steps", steps, least=1, whole=True)

    def fit(self, embeddings: Tensor, targets: Tensor, labels: LabelSpace) -> Layer:
        """Descend along cross-entropy, of a softmax or of each label's sigmoid."""
        loss = functional.binary_cross_entropy_with_logits if labels.kind == "multi" else functional.cross_entropy
        with torch.inference_mode(False), torch.enable_grad():  # validation is in a mode without gradients
            embeddings, targets = embeddings.float().clone(), targets.clone()
            weight = torch.zeros(len(labels), embeddings.shape[1], requires_grad=True)
            bias = torch.zeros(len(labels), requires_grad=True)
            groups = [{"params": [weight], "weight_decay": self.weight_decay}, {"params": [bias], "weight_decay": 0.0}]
            optimizer = torch.optim.AdamW(groups, lr=self.learning_rate)
            for step in range(self.steps):
                for group in optimizer.param_groups:
                    group["lr"] = self.learning_rate * (1 - step / self.steps)
                weight.grad, bias.grad = torch.autograd.grad(
                    loss(embeddings @ weight.T + bias, targets), (weight, bias)
                )
                optimizer.step()
        return weight.detach(), bias.detach()
