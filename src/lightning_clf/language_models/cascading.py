"""From which confidence on a classifier answers by itself: chosen on held-out rows that both have answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_clf.artefact import Artefact, load_artefact
from lightning_clf.calibration import Thresholds, weigh
from lightning_clf.cascade import Cascade, Curve
from lightning_clf.decision import Choice
from lightning_clf.errors import InputError, check_number
from lightning_clf.files import check_apart
from lightning_clf.inference import Answered, Classifier, answer_labelled
from lightning_clf.inference.answers import Answer, answer, confidence
from lightning_clf.inference.inputs import ReadRow
from lightning_clf.inference.target import check_beside, check_target
from lightning_clf.labels import LabelSpace
from lightning_clf.language_models.journal import Journal
from lightning_clf.language_models.model import LanguageModel
from lightning_clf.language_models.question import instructions, question, replied
from lightning_clf.prediction import Prediction

_POINTS = 100  # steps of the curve that is kept


@dataclass(frozen=True)
class Terms:
    """What a cascade is to weigh, and what the language model is told.

    Attributes:
        price_per_call: What asking about one row costs.
        price_per_error: What one row that is answered wrongly costs, in the same currency.
        prompt: What stands before a text; `None` names the labels.

    Raises:
        InputError: If a price is none.
    """

    price_per_call: float
    price_per_error: float
    prompt: str | None = None

    def __post_init__(self) -> None:
        check_number("the price of a call", self.price_per_call, least=0.0)
        check_number("the price of an error", self.price_per_error, above=0.0)


@dataclass(frozen=True)
class Chosen:
    """A cascade, and what it was chosen from.

    Attributes:
        cascade: The cascade.
        rows: How many rows it was chosen on.
        unusable: How many of them the language model gave no usable reply to; there the classifier's answer counts.
    """

    cascade: Cascade
    rows: int
    unusable: int

    @property
    def place(self) -> int:
        """Where the threshold stands on the curve."""
        return self.cascade.curve.thresholds.index(self.cascade.threshold)


def make_cascade(
    model: str,
    source: str,
    target: str,
    language_model: LanguageModel,
    endpoint: str,
    terms: Terms,
    replies: Path,
    columns: Mapping[str, str] | None = None,
    *,
    resume: bool = False,
    estimate: bool = False,
    batch_size: int = 64,
    device: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    warn: Callable[[str], None] = lambda line: None,
) -> Chosen | None:
    """Have held-out rows answered by both, choose the threshold of least cost, and write a new export folder with it.

    An error is a row whose label, or whose set of labels, is not exactly the right one.

    Args:
        model: A checkpoint or an export folder, of labels of kind `single` or `multi`. Its decision stays in force.
        source: A file of labelled rows that the model was not trained on.
        target: The folder to write.
        language_model: What is asked about every row.
        endpoint: Where it is.
        terms: Prices, and what it is told.
        replies: The file that keeps its replies.
        columns: Names of columns, as `calibrate` takes them.
        resume: Whether to go on with the replies that are there.
        estimate: Whether to end when that was told.
        batch_size: How many rows share a forward pass.
        device: Where to score; `None` is the CPU.
        say: Is told what asking will cost, before.
        warn: Is told, before, where the model is not calibrated.

    Returns:
        What was chosen; `None` where that was to be told only.

    Raises:
        InputError: If the model is of another kind, a row cannot be read, there is no reply to be had, or the folder
            would take the place of something else, such as of the replies.
    """
    check_target(model, target)
    check_beside(replies, "--replies", target)
    check_apart("--replies", replies, [source])
    artefact = load_artefact(model)
    _check_labels(artefact.labels)
    if artefact.decision.scaling is None:
        warn(f"{model} is not calibrated: `lightning-clf calibrate` it first, as doing so later drops the cascade")
    classifier = Classifier(artefact, columns).to(device)
    answered = answer_labelled(classifier, source, columns or {}, batch_size)
    classifier.to("cpu")
    answers = _answers(answered)
    told = instructions(artefact.labels) if terms.prompt is None else terms.prompt
    prompts = [question(artefact.labels, told, row) for row in _read(answered)]
    with Journal(replies, resume=resume, attempts=1) as journal:
        new = len({prompt.digest(language_model.name) for prompt in prompts if not journal.has(language_model, prompt)})
        say(
            f"asking {language_model.name} about {len(prompts)} rows: {new} calls at {terms.price_per_call:g} are "
            f"{new * terms.price_per_call:g}; the replies are kept in {replies}"
        )
        if estimate:
            return None
        values = [one.value for one in journal.ask_all(language_model, prompts)]
    thresholds = _weighed(answered, answers, values)
    cascade = _cheapest(thresholds, terms, endpoint, language_model.name, told)
    chosen = Chosen(cascade, len(answers), values.count(None))
    _put_in(artefact, chosen)
    artefact.save(target)
    return chosen


def _check_labels(labels: LabelSpace) -> None:
    if labels.kind not in ("single", "multi"):
        raise InputError(
            f"a cascade is for texts with one label or any number of labels, and this model has kind {labels.kind}: "
            "take another"
        )


def _weighed(answered: Answered, answers: Sequence[Answer], values: Sequence[Mapping[str, Any] | None]) -> Thresholds:
    """What each threshold comes to, by the answers of both; without a usable reply the classifier's stands."""
    labels = answered.labels
    right = [_named(labels, gold) for gold in answered.gold]
    own = [_given(labels, one) for one in answers]
    others = [
        mine if value is None else _given(labels, replied(labels, value))
        for value, mine in zip(values, own, strict=True)
    ]
    confidences = torch.tensor([confidence(one) for one in answers], dtype=torch.float64)
    return weigh(confidences, _hits(own, right), _hits(others, right))


def _answers(answered: Answered) -> list[Answer]:
    """The rows' answers as `predict` writes them, since confidences follow from these."""
    if answered.probabilities is None:
        raise InputError("the model's head gives no probabilities, so that nothing tells how sure it is: take another")
    indices = torch.tensor(answered.predicted) if answered.labels.kind == "single" else _members(answered)
    prediction = Prediction(indices, answered.probabilities)
    return [answer(answered.labels, prediction, place, row) for place, row in enumerate(_read(answered))]


def _members(answered: Answered) -> Tensor:
    members = torch.zeros(len(answered.predicted), len(answered.labels), dtype=torch.int64)
    for place, given in enumerate(answered.predicted):
        members[place, given] = 1
    return members


def _read(answered: Answered) -> list[ReadRow]:
    return [ReadRow((str(one.text),) if one.pair is None else (str(one.text), one.pair)) for one in answered.examples]


def _named(labels: LabelSpace, gold: Any) -> set[str]:
    return {labels.names[index] for index in ([gold] if labels.kind == "single" else gold)}


def _given(labels: LabelSpace, given: Answer) -> set[str]:
    return {given["label"]} if labels.kind == "single" else set(given["labels"])


def _hits(given: Sequence[set[str]], right: Sequence[set[str]]) -> Tensor:
    return torch.tensor([one == other for one, other in zip(given, right, strict=True)])


def _cheapest(thresholds: Thresholds, terms: Terms, endpoint: str, name: str, told: str) -> Cascade:
    """The threshold of least cost, with so much of the curve as can be read."""
    place = thresholds.cheapest(terms.price_per_call, terms.price_per_error)
    steps = torch.linspace(0, thresholds.rows, _POINTS + 1, dtype=torch.float64)
    near = torch.searchsorted(thresholds.asked.double(), steps).clamp(max=len(thresholds.values) - 1)
    kept = sorted({0, place, len(thresholds.values) - 1, *near.tolist()})
    curve = Curve(
        tuple(thresholds.values[kept].tolist()),
        tuple((thresholds.asked[kept].double() / thresholds.rows).tolist()),
        tuple((thresholds.wrong[kept].double() / thresholds.rows).tolist()),
    )
    return Cascade(
        float(thresholds.values[place]), endpoint, name, told, terms.price_per_call, terms.price_per_error, curve
    )


def _put_in(artefact: Artefact, chosen: Chosen) -> None:
    cascade, curve, place = chosen.cascade, chosen.cascade.curve, chosen.place
    asked, risk = curve.asked[place], curve.risk[place]
    metrics = {
        "cost": (cascade.cost(curve.asked[0], curve.risk[0]), cascade.cost(asked, risk)),
        "risk": (curve.risk[0], risk),
        "calls": (0.0, asked),
    }
    target = f"{cascade.price_per_call:g} a call, {cascade.price_per_error:g} an error"
    kept = [choice for choice in artefact.decision.chosen_by if choice.part != "cascade"]
    choices = [Choice("cascade", target, name, *values, chosen.rows) for name, values in metrics.items()]
    artefact.network.set_decision(dataclasses.replace(artefact.decision, cascade=cascade, chosen_by=(*kept, *choices)))
