"""Self-adjusting dice loss (Li et al. 2020, "Dice Loss for Data-imbalanced NLP Tasks", ACL)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lightning_clf.errors import check_number
from lightning_clf.labels import Kind
from lightning_clf.loss_terms import LossTerms
from lightning_clf.losses.base import Loss, valid_places


class DiceLoss(Loss):
    """Σ_c 1 − (2 d_c y_c + γ) / (d_c + y_c + γ) with d = (1−p)^α p over a softmax, for one label of C and for tags.

    Each class against the rest, at each word by itself, as the paper writes it: a sum over words, where a dice
    coefficient of a whole batch would depend on how words are spread over batches. An absence costs d / (d + γ), which
    is little where p is; so the many words that are easily seen not to be of a class do not drown the few that are. The
    mean divides by the number of words.

    The loss of a class is at most 1, and its gradient goes with p: a right class that is given no chance is not
    learned. With α above 0 a right class costs least at p = 1/(1+α), and more again beyond: at α = 1 that is ½.

    Args:
        alpha: α, how strongly the easy is turned down; 0 is none. 0.01 is what the authors' scripts set for named
            entities, by which the right class may rise to p = 0.99.
        gamma: γ, above 0, which gives absences a say; 1 in the authors' scripts.

    Raises:
        InputError: If a number is out of bounds.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"single", "tags"})

    def __init__(self, alpha: float = 0.01, gamma: float = 1.0) -> None:
        super().__init__()
        self.alpha = check_number("alpha", alpha, least=0)
        self.gamma = check_number("gamma", gamma, above=0)

    def forward(self, scores: Tensor, targets: Tensor) -> LossTerms:
        """Logits `[…,C]` against indices `[…]`."""
        logits, indices = valid_places(scores, targets)
        log_p = logits.log_softmax(-1)
        adjusted = (log_p + self.alpha * _log_rest(log_p)).exp()
        right = functional.one_hot(indices, logits.shape[-1]).to(logits.dtype)
        # 1 − (2dy + γ)/(d + y + γ) on one fraction, which does not cancel; y² is y
        terms = (adjusted + right - 2 * adjusted * right) / (adjusted + right + self.gamma)
        return LossTerms(terms.sum(), logits.new_tensor(len(logits)))


def _log_rest(log_p: Tensor) -> Tensor:
    """log(1−p) of each class `[M,C]`; of the likeliest by the sum over the others, as its own p soon rounds to 1.

    A power near 0 makes much of it: of 1 − p = 1e-8, which float32 does not have beside 1, (1−p)^0.01 is 0.83.
    """
    likeliest = torch.zeros_like(log_p, dtype=torch.bool).scatter(-1, log_p.argmax(-1, keepdim=True), True)
    others = log_p.masked_fill(likeliest, torch.finfo(log_p.dtype).min).logsumexp(-1, keepdim=True)
    rest = (-torch.expm1(log_p.masked_fill(likeliest, -1.0))).log()
    return torch.where(likeliest, others, rest)
