"""From which confidence on a model answers: for a share of rows, or for a risk that is to be kept."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CONFIDENCE = 0.95
"""How sure it is that a risk is kept, over the draw of the held-out rows."""
_COVERAGES = 20


def threshold_for_coverage(confidences: Tensor, coverage: float) -> float:
    """The largest threshold that at least this share of rows lies above.

    Args:
        confidences: Float `[N]`, N at least 1.
        coverage: The share, above 0 and at most 1.
    """
    ordered = confidences.double().sort(descending=True).values
    last = ordered[math.ceil(coverage * len(ordered) - 1e-9) - 1]
    below = ordered[ordered < last]
    return float(below[0]) if len(below) else 0.0


def threshold_for_risk(confidences: Tensor, hits: Tensor, risk: float) -> float | None:
    """The lowest threshold above which the share of errors is at most `risk`, with a confidence of 95 %.

    Of rows above a threshold the errors are binomial. For each of twenty coverages, 5 % to 100 %, the hypothesis that
    the risk is above `risk` is rejected where so few errors have a probability of at most 0.05 / 20, which is where the
    upper bound of Clopper and Pearson (1934) at that level is no more than `risk`. As all twenty bounds hold at once
    with a probability of 95 %, the largest coverage may be taken (Geifman & El-Yaniv 2017; as in the "learn then test"
    of Angelopoulos et al. 2021).

    Args:
        confidences: Float `[N]`, of a network that was not fitted to these rows.
        hits: Whether each was right, bool `[N]`.
        risk: The share of errors, above 0 and below 1.

    Returns:
        The threshold; `None` where no coverage will do.
    """
    ordered, order = confidences.double().sort(descending=True)
    wrong = ~hits[order]
    for step in range(_COVERAGES, 0, -1):
        count = len(ordered) * step // _COVERAGES
        threshold = float(ordered[count]) if count < len(ordered) else 0.0
        above = ordered > threshold
        if binomial_cdf(int(wrong[above].sum()), int(above.sum()), risk) <= (1 - CONFIDENCE) / _COVERAGES:
            return threshold
    return None


def binomial_cdf(most: int, count: int, share: float) -> float:
    """The probability of at most so many of `count` independent events that happen with probability `share` each."""
    events = torch.arange(most + 1, dtype=torch.float64)
    total = torch.tensor(float(count), dtype=torch.float64)
    ways = torch.lgamma(total + 1) - torch.lgamma(events + 1) - torch.lgamma(total - events + 1)
    terms = ways + events * math.log(share) + (total - events) * math.log1p(-share)
    return min(1.0, float(terms.logsumexp(0).exp()))
