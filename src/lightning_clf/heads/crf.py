"""A conditional random field over the words' tags."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.errors import InputError
from lightning_clf.heads.crf_core import FORBIDDEN, Chain, log_marginals, log_partition, viterbi
from lightning_clf.heads.linear import LinearHead
from lightning_clf.heads.pooling import WordPooling
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.loss_terms import LossTerms
from lightning_clf.precision import full_precision
from lightning_clf.prediction import Prediction
from lightning_clf.schemes import follows


class Lattice(NamedTuple):
    """The words of a batch that tags are chosen for, moved together to the left.

    Attributes:
        emissions: Scores of each word's tags in full precision, `[B,W,C]`.
        lengths: How many words there are, int64 `[B]`.
        order: Which word of the batch stands at each place, int64 `[B,W]`.
    """

    emissions: Tensor
    lengths: Tensor
    order: Tensor


class CRFHead(LinearHead):
    """A linear layer for each word, and a score for each pair of neighbouring tags (Lample et al. 2016).

    It pays where a tag depends on its neighbours more than on its word: many entity types, long spans, little data, or
    wherever an illegal sequence must never come out.

    `p(y|x) = exp(s(x,y)) / Σ_y′ exp(s(x,y′))`, `s(x,y) = start[y₁] + Σ emissions[t,yₜ] + Σ pairs[yₜ₋₁,yₜ] + end[y_W]`
    (Lafferty et al. 2001), over words, in float32 whatever the precision. What the tag scheme forbids is forbidden in
    training and decoding alike: it is masked, and never learned. What it allows starts at 0: a softmax a word, over
    legal sequences. These scores are few and new; `FineTuning(head_learning_rate=1e-3)` moves them faster than an
    encoder.

    A word no subword speaks for is `O` in every sequence; with scheme `none`, which has no `O`, its neighbours stand
    next to each other. Predictions are the likeliest sequence (Viterbi), probabilities each word's marginals, which sum
    over all sequences: the tag chosen is not always the one of the largest.

    The loss is the negative log-likelihood, summed over sentences, over the number of words that have a tag. By the
    chain rule a sentence's is the sum of its words' (`−Σ log p(yₜ|y₁…yₜ₋₁,x)`), so that this mean and its gradients are
    of the size of cross-entropy's however long sentences are. A mean over sentences would be as many times larger as
    they have words, and would change with the corpus what a learning rate or a clipped norm means.

    A window may cut an entity such that no legal sequence has its tags, and so may a loader of the user's own. The two
    words of each forbidden pair are then left open: the likelihood is that of all legal sequences with the other tags
    (Tsuboi et al. 2008), finite always. Words whose target is `IGNORE` are left open too.

    Args:
        pooling: How subwords become a word (`first`, `mean`, `max`); `None` takes `first`, as the BERT paper does.
        dropout: Probability of dropping a pooled feature; 0.1 is BERT's.

    Raises:
        InputError: If the pooling does not pool words, or, when built, the tags are of spans but have no `O`.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"tags"})
    brings_loss: ClassVar[bool] = True
    bad_start: Tensor
    bad_pairs: Tensor
    bad_end: Tensor

    def __init__(self, pooling: WordPooling | None = None, dropout: float = 0.1) -> None:
        super().__init__(pooling, dropout)

    def build(self, hidden_size: int, labels: LabelSpace) -> None:
        """Make the layers, the scores of neighbours, and the masks of what the scheme forbids."""
        super().build(hidden_size, labels)
        scheme = labels.scheme or "none"
        if scheme != "none" and "O" not in labels.names:
            raise InputError(
                f"{type(self).__name__} needs the tag O for words outside of entities: add it to the labels"
            )
        self.skips_unseen = scheme == "none"
        tags = len(labels)
        self.start, self.end = nn.Parameter(torch.zeros(tags)), nn.Parameter(torch.zeros(tags))
        self.pairs = nn.Parameter(torch.zeros(tags, tags))
        names = labels.names
        bad = {
            "bad_start": [not follows("O", tag, scheme) for tag in names],
            "bad_pairs": [[not follows(before, tag, scheme) for tag in names] for before in names],
            "bad_end": [not follows(tag, "O", scheme) for tag in names],
        }
        for name, table in bad.items():  # they follow from the labels, and need no place in a checkpoint
            self.register_buffer(name, torch.tensor(table), persistent=False)

    def chain(self) -> Chain:
        """The scores of neighbours in full precision, with what is forbidden masked."""
        learned = ((self.start, self.bad_start), (self.pairs, self.bad_pairs), (self.end, self.bad_end))
        return Chain(*(full_precision(scores).masked_fill(bad, FORBIDDEN) for scores, bad in learned))

    def structural_loss(self, scores: Tensor, batch: Batch) -> LossTerms:
        """The negative log-likelihood of the targets.

        Args:
            scores: Emissions `[B,W,C]`.
            batch: The batch, with targets `[B,W]`.

        Returns:
            Its sum over sentences, and the number of words whose tag it is the likelihood of.
        """
        lattice, chain = self._lattice(scores, batch), self.chain()
        seen = batch.words()[0] >= 0
        labelled = self._labelled(batch.require_targets(), seen, lattice)
        targets = batch.require_targets().gather(1, lattice.order).where(labelled, 0)
        wrong = ~functional.one_hot(targets, len(self.labels)).bool() & labelled[..., None]
        # the sum over all sequences, and the sum over those that have the targets, in one loop
        both = torch.cat((lattice.emissions, lattice.emissions.masked_fill(wrong, FORBIDDEN)))
        everything, right = log_partition(both, lattice.lengths.repeat(2), chain).chunk(2)
        # where tags of the scheme are missing from the label space, it may be that no sequence is left
        possible = right > FORBIDDEN / 2
        total = (everything - right).where(possible, 0.0).sum()
        total = total + 0.0 * self.pairs.sum()  # DDP waits for its gradient, also where every sentence is of one word
        return LossTerms(total, (labelled & possible[:, None]).sum().to(total.dtype))

    def decode(self, scores: Tensor, batch: Batch) -> Prediction:
        """The likeliest sequence `[B,W]`, and the marginal probabilities of each word's tags `[B,W,C]`."""
        lattice, chain = self._lattice(scores, batch), self.chain()
        seen = batch.words()[0] >= 0
        path = viterbi(lattice.emissions, lattice.lengths, chain)
        marginals = log_marginals(lattice.emissions, lattice.lengths, chain).exp()
        if self.skips_unseen:
            path = path.scatter(1, lattice.order, path)
            marginals = marginals.scatter(1, lattice.order[..., None].expand_as(marginals), marginals)
        return Prediction(path.where(seen, self.labels.outside), marginals * seen[..., None])

    def _lattice(self, scores: Tensor, batch: Batch) -> Lattice:
        seen, inside = batch.words()[0] >= 0, batch.word_mask
        emissions = full_precision(scores)
        # what all tags of a word have in common cancels out; without it, sums stay where float32 is fine
        emissions = emissions - emissions.detach().amax(-1, keepdim=True)
        if self.skips_unseen:
            inside = inside & seen
            order = (~inside).long().argsort(dim=1, stable=True)
            return Lattice(emissions.gather(1, order[..., None].expand_as(emissions)), inside.sum(1), order)
        words, tags = (torch.arange(size, device=emissions.device) for size in emissions.shape[1:])
        outside = torch.zeros_like(emissions).masked_fill(tags != self.labels.outside, FORBIDDEN)
        return Lattice(torch.where(seen[..., None], emissions, outside), inside.sum(1), words.expand_as(inside))

    def _labelled(self, targets: Tensor, seen: Tensor, lattice: Lattice) -> Tensor:
        """True where a place of the lattice has a target that the likelihood is of, bool `[B,W]`."""
        known = (seen & (targets != IGNORE)).gather(1, lattice.order)
        known = known & (torch.arange(known.shape[1], device=known.device) < lattice.lengths[:, None])
        if self.skips_unseen:
            return known
        # a word nothing speaks for is O, and so is what lies beyond the last one: all faults are of pairs
        tags = targets.where(known, self.labels.outside)
        certain = known | ~seen
        padded_tags = functional.pad(tags, (1, 1), value=self.labels.outside)
        padded = functional.pad(certain, (1, 1), value=True)
        fault = self.bad_pairs[padded_tags[:, :-1], padded_tags[:, 1:]] & padded[:, :-1] & padded[:, 1:]
        return known & ~fault[:, :-1] & ~fault[:, 1:]
