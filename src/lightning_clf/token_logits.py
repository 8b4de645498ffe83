"""A network as others call it: from what a tokenizer makes to logits, those of tags for each subword."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_clf.batch import Batch
from lightning_clf.errors import InputError
from lightning_clf.heads import ArchitectureHead, Head, LinearHead
from lightning_clf.heads.pooling import FirstSubword
from lightning_clf.network import Network


def token_logits(network: Network, inputs: dict[str, Tensor]) -> Tensor:
    """Logits `[N,C]`, `[N,T,C]` for tags, or `[N,1]` for scores, of inputs `[N,T]`.

    Args:
        network: A network whose head `check_tokens` lets pass.
        inputs: What the encoder takes, by name.
    """
    head, rows = network.head, torch.arange(inputs["input_ids"].shape[0])
    features = network.features(batch := Batch(inputs, rows, rows))
    if isinstance(head, LinearHead) and head.labels.kind == "tags":
        logits: Tensor = head.output(features)
        return logits
    if type(head).forward is ArchitectureHead.forward:
        return features
    scores: Tensor = head(features, batch)
    return scores[:, None] if head.labels.kind == "score" else scores


def gives_token_logits(head: Head) -> bool:
    """Whether a head is a function from the subwords of a window to logits, as `token_logits` computes them."""
    if isinstance(head, LinearHead) and head.windows is not None:
        return False
    if head.labels.kind != "tags" or type(head).forward is ArchitectureHead.forward:
        return True
    is_linear = isinstance(head, LinearHead) and type(head).forward is LinearHead.forward
    return is_linear and isinstance(head.pooling, FirstSubword)


def check_tokens(head: Head, what: str, instead: str) -> None:
    """Refuse heads that give no logits of subwords.

    Args:
        head: The head.
        what: What is to give logits.
        instead: What to do.

    Raises:
        InputError: If it is such a head.
    """
    if gives_token_logits(head):
        return
    name = type(head).__name__
    if isinstance(head, LinearHead) and head.windows is not None:
        raise InputError(
            f"{name} pools the windows of a text by {head.windows_name} before its last layer, and {what} knows of one "
            f"window: {instead}"
        )
    if isinstance(head, LinearHead) and type(head).forward is LinearHead.forward:
        raise InputError(
            f"{name} pools a word's subwords by {head.pooling_name}, and {what} knows no words, only its first "
            f"subword can be read: {instead}"
        )
    raise InputError(
        f"{name} scores words together, as spans of them, and {what} gives each subword scores of its own: {instead}"
    )
