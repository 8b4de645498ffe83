"""Hidden states to scores, and scores to predictions."""

from lightning_clf.heads.architecture import ArchitectureHead
from lightning_clf.heads.base import Head
from lightning_clf.heads.crf import CRFHead
from lightning_clf.heads.linear import LinearHead, MLPHead
from lightning_clf.heads.pooling import SequencePooling, WordPooling

__all__ = ["ArchitectureHead", "CRFHead", "Head", "LinearHead", "MLPHead", "SequencePooling", "WordPooling"]
