"""Classifiers that answer variously without having been trained."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch

from lightning_clf import LabelSpace
from lightning_clf.inference import Classifier
from tests.inference.echo import Echo
from tests.tiny import CORPUS
from tests.training import make_module

LABELS = {
    "single": LabelSpace.of(["bad", "fine", "good"], "single"),
    "multi": LabelSpace.of(["fear", "joy"], "multi"),
    "tags": LabelSpace.tags(["LOC", "PER"], "IOB2"),
    "words": LabelSpace.tags(["DT", "NN", "VB"], "none"),
    "score": LabelSpace.score(0, 5),
    "pair": LabelSpace.of(["no", "yes"], "single"),
}
COLUMNS = {
    "single": {"text": "sentence"},
    "multi": {"text": "text"},
    "tags": {"tokens": "tokens"},
    "words": {"tokens": "words"},
    "score": {"text": "a", "text_pair": "b"},
    "pair": {"text": "premise", "text_pair": "hypothesis"},
}
SENTENCE = "  Anna Berg—née Ångström—moved\tto Paris 🎉🎉, (not Berlin)!  \n 东京 O'Neil"


@pytest.fixture(scope="session")
def classifier(encoders):
    """Classifiers by the name of their label space."""
    made = {}

    def make(name: str) -> Classifier:
        if name not in made:
            made[name] = next(
                model for model in map(partial(build, name, encoders("roberta")), count()) if varies(model)
            )
        return made[name]

    return make


@pytest.fixture(scope="session")
def echo(classifier):
    """A classifier of one label that answers by the text alone."""
    return Echo(classifier("single").artefact)


def build(name: str, encoder: Path, seed: int) -> Classifier:
    """A classifier with large random weights."""
    torch.manual_seed(seed)
    module = make_module(LABELS[name].kind, encoder, labels=LABELS[name].to_dict())
    module.max_length, module.columns = 24, COLUMNS[name]
    module.build()
    for weight in module.network.parameters():
        weight.data.mul_(15)
    if name == "score":
        module.network.encoder.classifier.out_proj.bias.data.fill_(2.5)
    return Classifier(module.artefact)


def varies(model: Classifier) -> bool:
    """Whether the answers differ in what is chosen, and entities are found."""
    if model.labels.kind == "tags":
        (answer,) = model.predict([SENTENCE])
        return len(set(answer["tags"])) > 1 and answer.get("entities") != []
    answers = model.predict([{model.inputs.text: text, model.inputs.pair or "": text} for text in CORPUS])
    chosen = {str(answer.get("label", answer.get("labels", answer.get("score")))) for answer in answers}
    return len(chosen) > 1
