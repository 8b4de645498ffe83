"""What makes a step cheap on a CPU, without changing what it computes but for rounding."""

from lightning_clf.cpu.embedding import RowGradients
from lightning_clf.cpu.memory import keep_freed_memory, take_memory
from lightning_clf.cpu.sharing import SharedEmbeddings
from lightning_clf.cpu.step import CheapStep
from lightning_clf.cpu.unlearned_attention import take_unlearned_attention

__all__ = [
    "CheapStep",
    "RowGradients",
    "SharedEmbeddings",
    "keep_freed_memory",
    "take_memory",
    "take_unlearned_attention",
]
