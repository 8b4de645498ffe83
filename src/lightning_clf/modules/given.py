"""Parts, batches, scores and losses that are none of this library's, told of where they come in."""

from __future__ import annotations

from typing import TypeGuard

from torch import Tensor

from lightning_clf.batch import Batch
from lightning_clf.component import check_part
from lightning_clf.errors import InputError, a_type
from lightning_clf.heads import Head
from lightning_clf.labels import LabelSpace
from lightning_clf.losses import Loss, LossTerms


def check_parts(head: object, loss: object) -> None:
    """Refuse parts of other libraries, which can neither be asked what they are for nor be stored.

    Raises:
        InputError: If there is one.
    """
    check_part("model.head", head, Head, "defines build and forward")
    check_part("model.loss", loss, Loss, "returns LossTerms from forward")


def check_batch(module: str, batch: object) -> None:
    """Hold what a module is given against what it reads.

    Args:
        module: What the module is called.
        batch: What it is given.

    Raises:
        InputError: If it is no `Batch`.
    """
    if not isinstance(batch, Batch):
        raise InputError(
            f"{module} was given {a_type(batch)} for a batch, and reads a lightning_clf.batch.Batch: take a datamodule "
            "of lightning_clf, or lightning_clf.encoding.Collator for the collate_fn of a loader"
        )


def check_terms(origin: str, terms: object) -> None:
    """Hold what a loss gave against what the mean over batches and processes is made of.

    Args:
        origin: What gave it.
        terms: What it gave.

    Raises:
        InputError: If it is no `LossTerms` of two scalars.
    """
    if not isinstance(terms, LossTerms):
        said = a_type(terms)
    elif not (_is_scalar(terms.total) and _is_scalar(terms.weight)):
        said = f"LossTerms of {_shown(terms.total)} and {_shown(terms.weight)}"
    else:
        return
    raise InputError(
        f"{origin} gave {said}: return lightning_clf.losses.LossTerms(total, weight), two scalar tensors, the sum of "
        "the loss and what divides it, such as torch.tensor(float(len(targets)))"
    )


def check_scores(head: Head, scores: object, batch: Batch, labels: LabelSpace) -> None:
    """Hold the scores of a head against the labels they are of; one that decodes them itself may give any.

    Args:
        head: The head.
        scores: What it gave, each text's windows made one.
        batch: The batch.
        labels: The label space.

    Raises:
        InputError: If they are of another shape than `Head.forward` says.
    """
    if not head.gives_logits:
        return
    shape: tuple[int, ...] = (len(batch),)
    meant = "one number an example"
    if labels.kind == "tags":
        shape, meant = (*batch.words()[0].shape, len(labels)), "one number for each label of each word"
    elif labels.kind != "score":
        shape, meant = (len(batch), len(labels)), "one number for each label of each example"
    if not isinstance(scores, Tensor) or tuple(scores.shape) != shape:
        raise InputError(
            f"{type(head).__name__} gave {_shown(scores)} for scores, where labels of kind {labels.kind} ask for shape "
            f"{list(shape)}, {meant}: return that from its forward"
        )


def _is_scalar(value: object) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and not value.ndim


def _shown(value: object) -> str:
    return f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else a_type(value)
