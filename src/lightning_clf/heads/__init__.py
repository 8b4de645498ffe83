"""Hidden states to scores, and scores to predictions."""

from lightning_clf.heads.architecture import ArchitectureHead
from lightning_clf.heads.base import Head
from lightning_clf.heads.crf import CRFHead
from lightning_clf.heads.embedding import EmbeddingHead
from lightning_clf.heads.fitting import GradientFit, HeadFit, LogisticFit
from lightning_clf.heads.label_attention import LabelAttentionHead
from lightning_clf.heads.linear import LinearHead, MLPHead
from lightning_clf.heads.ordinal import OrdinalHead
from lightning_clf.heads.pooling import SequencePooling, WordPooling
from lightning_clf.heads.span import SpanHead

__all__ = [
    "ArchitectureHead",
    "CRFHead",
    "EmbeddingHead",
    "GradientFit",
    "Head",
    "HeadFit",
    "LabelAttentionHead",
    "LinearHead",
    "LogisticFit",
    "MLPHead",
    "OrdinalHead",
    "SequencePooling",
    "SpanHead",
    "WordPooling",
]
