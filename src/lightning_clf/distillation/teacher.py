"""A teacher: a trained model that answers rows with logits in the order of the student's labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from lightning_clf.artefact import SIDECAR, Artefact, load_artefact
from lightning_clf.batch import Batch
from lightning_clf.encoding.tokenizer import check_available, load_config, load_tokenizer
from lightning_clf.errors import InputError, reason
from lightning_clf.heads import ArchitectureHead
from lightning_clf.labels import LabelSpace
from lightning_clf.network import Network, made_up, quiet_transformers

KEY = "model.distillation.teacher"


class Teacher:
    """A trained model, which nothing trains.

    No module, so that whoever holds one does not train, count or store it.

    Attributes:
        name: What a user calls it.
        artefact: The model, in evaluation mode.
        order: For each label of the student its place among the teacher's.
    """

    def __init__(self, name: str, artefact: Artefact, order: Sequence[int]) -> None:
        self.name = name
        self.artefact = artefact
        self.order = list(order)
        artefact.network.eval().requires_grad_(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: a copy of the student, as averaging makes, learns from the same teacher."""
        return self

    @classmethod
    def load(cls, name: str, labels: LabelSpace) -> Self:
        """Load a teacher: an export, a checkpoint, or a stock model in a folder or on the hub.

        Args:
            name: A folder, a file, or a hub id.
            labels: The student's labels.

        Raises:
            InputError: If there is none, it is damaged, or it has other labels.
        """
        path = Path(name).expanduser()
        is_ours = path.is_file() or (path / SIDECAR).is_file()
        with torch.random.fork_rng(devices=[]):  # a student begins as it would without a teacher
            artefact = load_artefact(path) if is_ours else _load_stock(name, labels)
        return cls(name, artefact, _matched(name, artefact.labels, labels))

    @torch.no_grad()
    def logits(self, batch: Batch) -> Tensor:
        """Its answers to a batch, in the student's order: float32 `[B,C]`, `[B,W,C]` or `[B]`; NaN where it has none.

        Raises:
            InputError: If its head has no probabilities.
        """
        network = self.artefact.network
        scores = network(batch)
        if network.labels.kind == "score":
            return scores.float()  # type: ignore[no-any-return]
        scores = network.decision.scaled(scores)
        if not network.head.gives_logits:
            scores = self._log_odds(network.head.decode(scores, batch).probabilities)
        answers: Tensor = scores.float()[..., self.order]
        if network.labels.kind == "tags":
            answers = answers.masked_fill((batch.words()[0] < 0)[..., None], torch.nan)
        return answers

    def _log_odds(self, probabilities: Tensor | None) -> Tensor:
        if probabilities is None:
            head = type(self.artefact.network.head).__name__
            raise InputError(f"{KEY} {self.name} has a {head}, which gives no probabilities to learn: take another")
        return probabilities.logit() if self.artefact.labels.kind == "multi" else probabilities.log()


def _load_stock(name: str, labels: LabelSpace) -> Artefact:
    """A model that another program wrote, whose labels are of the student's kind."""
    try:
        name = check_available(name)
        tokenizer, config = load_tokenizer(name, words=labels.kind == "tags"), load_config(name)
    except InputError as error:
        raise InputError(str(error).replace("model.encoder", KEY)) from error
    id2label: Any = config.id2label
    names = [str(id2label[index]) for index in sorted(id2label)]
    known = labels if labels.kind == "score" and len(names) == 1 else _space(name, names, labels)
    head = ArchitectureHead()
    head.attach(config, known)
    with quiet_transformers():
        try:
            encoder, loaded = head.auto_class().from_pretrained(
                name, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
            )
        except Exception as error:  # what is in the folder decides what transformers stumbles over
            raise InputError(f"{KEY} {name!r} cannot be loaded ({reason(error)}): take another") from error
    if random := made_up(loaded):
        raise InputError(f"{KEY} {name!r} holds no trained {head.auto_class().__name__}: it lacks {random[0]}")
    network = Network(encoder, head, known)
    longest = min(tokenizer.model_max_length, network.max_positions or 512)
    return Artefact(network, tokenizer, longest, {})


def _space(name: str, names: list[str], labels: LabelSpace) -> LabelSpace:
    try:
        return LabelSpace(tuple(names), labels.kind, labels.scheme, labels.range)
    except InputError as error:
        raise _other(name, names, labels) from error


def _matched(name: str, theirs: LabelSpace, ours: LabelSpace) -> list[int]:
    """For each of our labels the place of the teacher's of that name, whatever its case where that is plain."""
    if theirs.kind != ours.kind:
        raise InputError(f"{KEY} {name} has labels of kind {theirs.kind}, and the data's are of kind {ours.kind}")
    if ours.kind == "score" and theirs.range != ours.range:
        raise InputError(
            f"{KEY} {name} gives scores of {list(theirs.range or ())}, and data.score_range is {list(ours.range or ())}"
        )
    for fold in (str, str.casefold):
        places = {fold(label): place for place, label in enumerate(theirs.names)}
        wanted = [fold(label) for label in ours.names]
        if len(places) == len(theirs) == len(ours) == len(set(wanted)) and places.keys() == set(wanted):
            return [places[label] for label in wanted]
    raise _other(name, theirs.names, ours)


def _other(name: str, theirs: Sequence[str], ours: LabelSpace) -> InputError:
    shown = ", ".join(theirs[:12]) + (" …" if len(theirs) > 12 else "")
    return InputError(
        f"{KEY} {name} has the labels {shown}, and the data have {', '.join(ours.names[:12])}: a student learns of a "
        "teacher with the same names; rename them in its config.json, or take another"
    )
