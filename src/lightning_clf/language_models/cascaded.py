"""A classifier that asks a language model about the rows of which it is not sure."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from lightning_clf.errors import InputError
from lightning_clf.inference import Classifier
from lightning_clf.inference.answers import Answer, confidence
from lightning_clf.inference.inputs import ReadRow
from lightning_clf.language_models.journal import Journal
from lightning_clf.language_models.model import LanguageModel
from lightning_clf.language_models.prompt import parse
from lightning_clf.language_models.question import question, replied

_PATIENCE = 8  # rows in a row without a reply, after which no more of the same chunk are asked about
COLUMNS = {"answered_by": pa.string(), "language_model_error": pa.string()}
"""What answers have besides those of the classifier; the second only where something went wrong."""


class Cascaded(Classifier):
    """A classifier whose artefact holds a cascade, which is followed.

    A language model is asked once about a row. Where there is no reply, or none that can be used, the classifier's own
    answer stands, and says why.

    Args:
        classifier: The classifier.
        model: The language model of the cascade.
        journal: Keeps what is replied, and is looked into before it is asked for; it is to make one attempt.

    Attributes:
        asked: How many rows the language model was asked about.
        failed: How many of them it did not answer.
        first: Why it did not answer the first of them.

    Raises:
        InputError: If the artefact holds no cascade.
    """

    def __init__(self, classifier: Classifier, model: LanguageModel, journal: Journal | None = None) -> None:
        super().__init__(classifier.artefact, classifier.inputs.columns)
        policy = self.artefact.decision.cascade
        if policy is None:
            raise InputError(
                "the model has no cascade, so that nothing says when a language model is to be asked: make one with "
                "`lightning-clf cascade`, or leave out --endpoint"
            )
        self.policy, self.model, self.journal = policy, model, journal
        self.asks = model.name
        self.asked = self.failed = 0
        self.first = ""

    def answer_columns(self) -> dict[str, pa.DataType]:
        """The columns of an answer in a table."""
        return super().answer_columns() | COLUMNS

    def predict_read(self, read: Sequence[Any], batch_size: int) -> list[Answer]:
        """Answer rows that `inputs.read` has read, and ask about those that need it, several at a time."""
        answers = super().predict_read(read, batch_size)
        unsure = self.unsure(answers)
        said = self._consult_all([read[place] for place in unsure])
        return self.completed(answers, dict(zip(unsure, said, strict=True)))

    def unsure(self, answers: Sequence[Answer]) -> list[int]:
        """The places of the answers that the language model is to be asked about."""
        return [place for place, answer in enumerate(answers) if self.policy.asks(confidence(answer))]

    def consult(self, row: ReadRow) -> Answer:
        """Ask about one row: what its answer is to have in the place of what it has.

        Raises:
            InputError: If there is no reply to be had.
        """
        prompt = question(self.labels, self.policy.prompt, row)
        if self.journal is not None:
            answer = self.journal.ask(self.model, prompt)
            value, fault = answer.value, answer.fault
        else:
            try:
                value, fault = parse(self.model.ask(prompt), prompt.schema), ""
            except ValueError as error:
                value, fault = None, str(error)
        if value is None:
            return unanswered(f"the reply cannot be used: {fault}")
        return {**replied(self.labels, value), "answered_by": "language_model"}

    def completed(self, answers: Sequence[Answer], said: Mapping[int, Answer]) -> list[Answer]:
        """The answers with what was said about those at some places, and each with who gave it."""
        self.asked += len(said)
        for one in said.values():
            if "language_model_error" in one:
                self.failed += 1
                self.first = self.first or one["language_model_error"]
        return [_merged(answer, said.get(place, {})) for place, answer in enumerate(answers)]

    def _consult_all(self, rows: Sequence[ReadRow]) -> list[Answer]:
        """Ask about rows; after several without a reply, one after another, the others are not asked about."""
        lock, failures = threading.Lock(), list[str]()

        def ask(row: ReadRow) -> Answer:
            with lock:
                if len(failures) >= _PATIENCE:
                    return unanswered(failures[0])
            try:
                said = self.consult(row)
            except InputError as error:
                with lock:
                    failures.append(str(error))
                return unanswered(str(error))
            with lock:
                if len(failures) < _PATIENCE:
                    failures.clear()
            return said

        with ThreadPoolExecutor(self.model.concurrency) as pool:
            try:
                return list(pool.map(ask, rows))
            except BaseException:  # Ctrl-C: what waits is not waited for
                self.model.give_up()
                raise


def unanswered(why: str) -> Answer:
    """What an answer has in addition where the language model gave none."""
    return {"answered_by": "classifier", "language_model_error": why}


def _merged(answer: Answer, said: Answer) -> Answer:
    merged = {**answer, "answered_by": "classifier", **said}
    if merged["answered_by"] == "language_model":
        if "label" in merged:
            merged["probability"] = merged["probabilities"][merged["label"]]
        if "abstained" in merged:
            merged["abstained"] = False
    return merged
