"""The chain against every sequence there is, written out in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from lightning_clf.heads.crf_core import FORBIDDEN, Chain, log_marginals, log_partition, viterbi

TAGS = 5
LENGTHS = [3, 6, 1, 4, 0, 2, 5]


def random_chain(seed: int, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, Chain]:
    """Emissions `[7,6,5]` and transitions."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    return scale * draw(len(LENGTHS), max(LENGTHS), TAGS), Chain(draw(TAGS), draw(TAGS, TAGS), draw(TAGS))


def every_sequence(emissions: torch.Tensor, chain: Chain, length: int) -> dict[tuple[int, ...], float]:
    """The score of each of C^L sequences, summed word by word."""
    start, pairs, end = (part.double().tolist() for part in chain)
    scores = emissions.double().tolist()
    result = {}
    for path in itertools.product(range(TAGS), repeat=length):
        total = start[path[0]] + end[path[-1]] + sum(scores[word][tag] for word, tag in enumerate(path))
        result[path] = total + sum(pairs[one][other] for one, other in itertools.pairwise(path))
    return result


@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.float64, 1e-10), (torch.float32, 2e-5)])
@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_it_is_the_sum_the_best_and_the_share_of_all_sequences(
    dtype: torch.dtype, accuracy: float, scale: float
) -> None:
    emissions, chain = random_chain(1, scale, dtype)
    lengths = torch.tensor(LENGTHS)
    sums, paths = log_partition(emissions, lengths, chain), viterbi(emissions, lengths, chain)
    marginals = log_marginals(emissions, lengths, chain).exp()
    assert sums.dtype == marginals.dtype == dtype
    for row, length in enumerate(LENGTHS):
        if not length:
            assert sums[row] == 0
            continue
        scores = every_sequence(emissions[row], chain, length)
        total = logsumexp(list(scores.values()))
        assert sums[row].item() == pytest.approx(total, rel=accuracy)
        assert tuple(paths[row, :length].tolist()) == max(scores, key=scores.__getitem__)
        expected = np.zeros((length, TAGS))
        for path, score in scores.items():
            expected[range(length), path] += np.exp(score - total)
        np.testing.assert_allclose(marginals[row, :length], expected, atol=max(accuracy, 1e-12))


def test_what_lies_beyond_an_example_has_no_say() -> None:
    emissions, chain = random_chain(2)
    lengths = torch.tensor(LENGTHS)
    beyond = (torch.arange(max(LENGTHS)) >= lengths[:, None])[..., None]
    other = emissions.masked_fill(beyond, 77.0)
    assert torch.equal(log_partition(other, lengths, chain), log_partition(emissions, lengths, chain))
    for function in (viterbi, log_marginals):
        one, two = function(emissions, lengths, chain), function(other, lengths, chain)
        inside = ~beyond[..., 0]
        assert torch.equal(one[inside], two[inside])


def test_what_is_forbidden_has_no_share() -> None:
    emissions, chain = random_chain(3, dtype=torch.float32)
    chain.pairs[1, 2] = chain.start[2] = chain.end[4] = FORBIDDEN
    lengths = torch.tensor(LENGTHS)
    sums, marginals = log_partition(emissions, lengths, chain), log_marginals(emissions, lengths, chain).exp()
    for row, length in enumerate(LENGTHS):
        if length:
            scores = every_sequence(emissions[row], chain, length)
            legal = {path: score for path, score in scores.items() if score > FORBIDDEN / 2}
            assert len(legal) < len(scores)
            assert sums[row].item() == pytest.approx(logsumexp(list(legal.values())), rel=1e-5)
            assert marginals[row, 0, 2] == marginals[row, length - 1, 4] == 0


def test_gradients_are_marginals() -> None:
    emissions, chain = random_chain(4)
    emissions.requires_grad_()
    lengths = torch.tensor(LENGTHS)
    log_partition(emissions, lengths, chain).sum().backward()
    inside = (torch.arange(max(LENGTHS)) < lengths[:, None])[..., None]
    marginals = log_marginals(emissions, lengths, chain).exp() * inside
    torch.testing.assert_close(emissions.grad, marginals, atol=1e-10, rtol=0)
