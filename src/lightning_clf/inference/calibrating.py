"""A classifier calibrated on held-out rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lightning_clf.artefact import load_artefact
from lightning_clf.calibration import Outcome, Wanted, choose, fold
from lightning_clf.errors import InputError
from lightning_clf.heads import Head
from lightning_clf.inference.classifier import Classifier
from lightning_clf.inference.held_out import read_held_out
from lightning_clf.inference.target import check_target


def calibrate(
    model: str,
    source: str,
    target: str,
    wanted: Wanted,
    columns: Mapping[str, str] | None = None,
    *,
    batch_size: int = 64,
    device: str | None = None,
) -> Outcome:
    """Calibrate a model and write it as a new export folder.

    What the model decided by before is replaced; a scaling that is in its weights stays there, and the new one comes on
    top.

    Args:
        model: A checkpoint or an export folder.
        source: A file of labelled rows that the model was not trained on.
        target: The folder to write.
        wanted: What is to be calibrated.
        columns: Names of columns, by role (`text`, `text_pair`, `tokens`, `label`), and the `separator` of labels.
        batch_size: How many rows share a forward pass.
        device: Where to score; `None` is the CPU.

    Returns:
        The decision, and what it changes.

    Raises:
        InputError: If the model has no probabilities that can be calibrated, a row cannot be read, or the folder would
            take the place of something else.
    """
    check_target(model, target)
    artefact = load_artefact(model)
    wanted.check(artefact.labels)
    _check_head(artefact.network.head)
    classifier = Classifier(artefact, columns).to(device)
    held_out = read_held_out(classifier, source, columns or {}, batch_size)
    outcome = choose(artefact.labels, *held_out, wanted)
    classifier.to("cpu")
    if (scaling := outcome.decision.scaling) is not None:
        outcome.decision = dataclasses.replace(outcome.decision, scaling=fold(artefact.network, scaling))
    if artefact.decision.cascade is not None:
        outcome.remarks.append(
            f"the cascade of {model} is dropped, whose threshold was of other probabilities: choose one anew with "
            "`lightning-clf cascade`"
        )
    artefact.network.set_decision(outcome.decision)
    artefact.save(target)
    return outcome


def _check_head(head: Head) -> None:
    """Refuse heads whose scores are not a logit for each label."""
    if not head.gives_logits:
        raise InputError(
            f"{type(head).__name__} makes its answers of scores that are no logits of single labels, so that there is "
            "nothing a temperature or a threshold could be of: calibrate a model with another head"
        )
