"""The functional core of a linear-chain conditional random field, for a whole batch at once.

A sequence of L words scores `start[y₁] + Σ emissions[t, yₜ] + Σ pairs[yₜ₋₁, yₜ] + end[y_L]`; its probability is the
softmax of that over all sequences (Lafferty et al. 2001). All is done in logarithms, in the precision of the arguments,
and the one loop is over words.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

FORBIDDEN = -1e30
"""The score of what may not be. Finite, so that no gradient is NaN, and so far down that float32 keeps nothing of it
beside any score of a model; a thousand of them still have a sum."""


class Chain(NamedTuple):
    """What tags score beside their emissions.

    Attributes:
        start: A tag as the first. `[C]`.
        pairs: The tag of the row before that of the column. `[C,C]`.
        end: A tag as the last. `[C]`.
    """

    start: Tensor
    pairs: Tensor
    end: Tensor


def log_partition(emissions: Tensor, lengths: Tensor, chain: Chain) -> Tensor:
    """The logarithm of the sum over all sequences, by the forward algorithm.

    Args:
        emissions: Scores of each word's tags, `[B,W,C]`, of any finite value beyond an example's length.
        lengths: How many words count, from the first on. Int64 `[B]`.
        chain: The scores of tags beside each other.

    Returns:
        `[B]`; 0 for an example of no words, which has one sequence.
    """
    messages = _messages(emissions[None], lengths, chain.start[None], chain.pairs.T[None])
    return (messages[-1][0] + chain.end).logsumexp(-1).where(lengths > 0, 0.0)


def log_marginals(emissions: Tensor, lengths: Tensor, chain: Chain) -> Tensor:
    """The log-probability of each tag at each word over all sequences, by forward-backward in one loop.

    The arguments are those of `log_partition`.

    Returns:
        `[B,W,C]`, of no meaning beyond an example's length.
    """
    # what comes from behind is what comes from before in the reversed sequence
    place = torch.arange(emissions.shape[1], device=emissions.device)
    mirror = (lengths[:, None] - 1 - place).clamp(min=0)[..., None].expand_as(emissions)
    messages = _messages(
        torch.stack((emissions, emissions.gather(1, mirror))),
        lengths,
        torch.stack((chain.start, chain.end)),
        torch.stack((chain.pairs.T, chain.pairs)),
    )
    before, behind = torch.stack(messages, dim=2)
    # both have the word's own emission; the softmax divides by the partition function
    scores: Tensor = before + behind.gather(1, mirror) - emissions
    return scores.log_softmax(-1)


def viterbi(emissions: Tensor, lengths: Tensor, chain: Chain) -> Tensor:
    """The sequence that scores highest (Viterbi 1967).

    The arguments are those of `log_partition`.

    Returns:
        Tag indices, int64 `[B,W]`, of no meaning beyond an example's length.
    """
    inside = _inside(emissions, lengths)
    same = torch.arange(emissions.shape[2], device=emissions.device)
    into = chain.pairs.T
    best = chain.start + emissions[:, 0]
    origins: list[Tensor] = []
    for word in range(1, emissions.shape[1]):
        score, origin = (best[:, None] + into).max(-1)
        best = torch.where(inside[:, word], score + emissions[:, word], best)
        origins.append(torch.where(inside[:, word], origin, same))
    path = [(best + chain.end).argmax(-1, keepdim=True)]
    for origin in reversed(origins):
        path.append(origin.gather(1, path[-1]))
    return torch.cat(path[::-1], dim=1)


def _messages(emissions: Tensor, lengths: Tensor, start: Tensor, into: Tensor) -> list[Tensor]:
    """The log-sum over all beginnings that end in each tag, word by word; past the last word that of the last.

    Args:
        emissions: `[D,B,W,C]`, for D directions.
        lengths: `[B]`.
        start: `[D,C]`.
        into: What leads from the tag of the column into that of the row, `[D,C,C]`.

    Returns:
        W tensors `[D,B,C]`.
    """
    inside = _inside(emissions[0], lengths)
    messages = [start[:, None] + emissions[:, :, 0]]
    for word in range(1, emissions.shape[2]):
        step = (messages[-1][:, :, None] + into[:, None]).logsumexp(-1) + emissions[:, :, word]
        messages.append(torch.where(inside[:, word], step, messages[-1]))
    return messages


def _inside(emissions: Tensor, lengths: Tensor) -> Tensor:
    """True before an example's length, bool `[B,W,1]`."""
    return (torch.arange(emissions.shape[1], device=lengths.device) < lengths[:, None])[..., None]
