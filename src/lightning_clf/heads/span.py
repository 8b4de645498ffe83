"""A class for every span of words, rather than a tag for every word."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_clf.batch import IGNORE, Batch
from lightning_clf.errors import InputError, check_number
from lightning_clf.heads.base import Head
from lightning_clf.heads.pooling import WordPooling, make_pooling
from lightning_clf.heads.span_core import Marks, flat_spans, span_mask, span_targets
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.loss_terms import LossTerms
from lightning_clf.precision import full_precision
from lightning_clf.prediction import Prediction
from lightning_clf.schemes import full_tagset
from lightning_clf.span_grid import TagTables

_PREFIXES = ("B", "I", "E", "S")


class SpanHead(Head):
    """Each span of words is an entity of a type or none, by a biaffine layer over its first word and its last.

    It pays where entities are long, or their ends say more than their middle: both ends are judged together, where tags
    see them one at a time.

    `score(i,j) = sᵢᵀ U eⱼ + W (sᵢ ⊕ eⱼ) + b` with `s = ReLU(A h)`, `e = ReLU(C h)` (Dozat and Manning 2017; Yu et al.
    2020, "Named Entity Recognition as Dependency Parsing"), over K types and none. Scores are a band `[B,W,M,K+1]`, at
    `[b,i,m]` the span of the m + 1 words from word i on, class 0 none; M is the smaller of `max_width` and W.

    The loss is cross-entropy over all spans whose words are seen, summed, over the number of these words. Every span is
    told at its first word, so that this is the mean over words of what each begins; divided by the number of spans,
    nearly all of them none, gradients would shrink as `max_width` grows.

    Decoding is flat: spans whose likeliest class is a type are taken one by one, unless they overlap one taken before,
    and written as tags of the scheme, legal always. They are taken by the log odds of type against none, where Yu et
    al. take the type's score: what all classes of a span have in common says nothing. There are no probabilities, since
    a score of a span is not one of a tag. Words no subword speaks for are in no span. What they leave of an entity
    counts in training as the scheme reads it, with `O` in their place.

    Args:
        pooling: How subwords become a word (`first`, `mean`, `max`); `None` takes `first`, as the BERT paper does.
        dropout: Probability of dropping a feature, of words and of their projections; 0.1 is BERT's.
        features: Width of the projections; 150 is that of Yu et al.
        max_width: How many words an entity may have, M. Memory and time grow with it, and longer entities are not
            found: the longest of CoNLL-2003 has 10, and 16 leaves room.

    Raises:
        InputError: If a number is out of range, or, when built, the tags are not all those of a scheme with spans.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"tags"})
    brings_loss: ClassVar[bool] = True
    written: Tensor

    def __init__(
        self, pooling: WordPooling | None = None, dropout: float = 0.1, features: int = 150, max_width: int = 16
    ) -> None:
        super().__init__()
        self.pooling_name = pooling
        self.dropout = nn.Dropout(check_number("dropout", dropout, least=0, most=1))
        self.features = check_number("features", features, least=1, whole=True)
        self.max_width = check_number("max_width", max_width, least=1, whole=True)

    def build(self, hidden_size: int, labels: LabelSpace) -> None:
        """Make the projections and the biaffine layer."""
        name = type(self).__name__
        if labels.scheme is None or labels.scheme == "none":
            raise InputError(f"{name} needs tags of spans, and those of scheme none are not: choose another head")
        missing = [tag for tag in full_tagset(labels.entity_types, labels.scheme) if tag not in labels.names]
        if missing or not labels.entity_types:
            raise InputError(
                f"{name} writes every tag of scheme {labels.scheme}, but the labels have no "
                f"{missing[0] if missing else 'entity type'}: add it, or choose another head"
            )
        self.pooling = make_pooling(self.pooling_name or "first", hidden_size, words=True)
        self.start, self.end = nn.Linear(hidden_size, self.features), nn.Linear(hidden_size, self.features)
        classes = 1 + len(labels.entity_types)
        # scores of the order of one for features of the order of one
        self.pairs = nn.Parameter(torch.randn(classes, self.features, self.features) / self.features)
        self.output = nn.Linear(2 * self.features, classes)
        self.tables = TagTables.of(labels)
        written = [
            [labels.names.index(tag) if (tag := f"{prefix}-{kind}") in labels.names else -1 for prefix in _PREFIXES]
            for kind in labels.entity_types
        ]
        self.register_buffer("written", torch.tensor(written), persistent=False)  # follows from the labels

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """`[N,T,H]` to `[B,W,M,K+1]`; of no meaning where a span has a word that is not seen."""
        words = self.dropout(self.pooling(hidden, batch))
        start, end = (self.dropout(functional.relu(layer(words))) for layer in (self.start, self.end))
        width = min(self.max_width, words.shape[1])
        # at [b,i,:,m] the projection of the word m places after word i
        ends = functional.pad(end, (0, 0, 0, width - 1)).unfold(1, width, 1)
        by_start, by_end = self.output.weight.chunk(2, dim=1)
        # the linear part of the end goes with the bilinear one, sᵢᵀ U + W, in one product
        left = torch.einsum("bwd,kde->bwke", start, self.pairs) + by_end
        scores: Tensor = left @ ends + functional.linear(start, by_start, self.output.bias)[..., None]
        return scores.transpose(2, 3)

    def structural_loss(self, scores: Tensor, batch: Batch) -> LossTerms:
        """Cross-entropy over the spans of words that are seen and have a target.

        Args:
            scores: `[B,W,M,K+1]`.
            batch: The batch, with targets `[B,W]`.

        Returns:
            The sum over spans, and the number of words.
        """
        targets = batch.require_targets()
        known = (batch.words()[0] >= 0) & (targets != IGNORE)
        self.tables = self.tables.to(scores.device)
        classes = span_targets(targets, known, self.tables, scores.shape[2])
        logits = full_precision(scores).flatten(0, 2)
        total = functional.cross_entropy(logits, classes.flatten(), ignore_index=IGNORE, reduction="sum")
        return LossTerms(total, known.sum().to(total.dtype))

    def decode(self, scores: Tensor, batch: Batch) -> Prediction:
        """The tags of the spans taken, `[B,W]`."""
        mask = span_mask(batch.words()[0] >= 0, scores.shape[2])
        return Prediction(self.write(flat_spans(full_precision(scores), mask)))

    def write(self, marks: Marks) -> Tensor:
        """Spans as tags of the label space's scheme; `schemes.write` says the same of one sequence.

        Args:
            marks: The spans of a batch.

        Returns:
            Tag indices, int64 `[B,W]`.
        """
        kinds, first, last = marks
        before = functional.pad(kinds[:, :-1], (1, 0), value=-1)
        begin, inside, end, single = range(4)
        if self.labels.scheme == "IOB1":
            first = first & (before == kinds)  # B- only where two spans of one type touch
        prefix = torch.where(first, begin, inside)
        if self.labels.scheme == "BIOES":
            prefix = torch.where(last, torch.where(first, single, end), prefix)
        return self.written[kinds.clamp(min=0), prefix].where(kinds >= 0, self.labels.outside)
