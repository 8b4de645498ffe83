"""Scores that a user's module makes its own way, which no export would hold."""

from __future__ import annotations

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_clf.batch import Batch
from lightning_clf.scorer import Scorer

_OURS = __name__.partition(".")[0]


def scores_its_own_way(module: type[LightningModule]) -> bool:
    """Whether a class of a user's own says how a batch is scored."""
    return any(getattr(module, name).__module__.partition(".")[0] != _OURS for name in ("forward", "score"))


def warn_of_own_scores(module: str, scores: Tensor, network: Scorer, batch: Batch) -> None:
    """Say that a module is judged by other scores than its export will give, where that is so.

    Args:
        module: What the module is called.
        scores: Those it gave in evaluation, where a `forward` or `score` that changes the loss alone changes none.
        network: What is exported of it.
        batch: What they are of.
    """
    with torch.no_grad():
        exported = network(batch)
    if exported.shape != scores.shape or not torch.allclose(exported, scores, rtol=1e-3, atol=1e-4, equal_nan=True):
        rank_zero_warn(
            f"{module} is judged by scores of its own forward or score, which are not those of its network: the "
            "network alone is exported, and answers in load_classifier and Classifier(module.artefact); change scores "
            "in a head, a subclass of lightning_clf.heads.Head"
        )
