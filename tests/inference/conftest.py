"""Classifiers that answer variously without having been trained."""

from __future__ import annotations

import pytest
import torch

from lightning_clf import LabelSpace
from lightning_clf.inference import Classifier
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


@pytest.fixture(scope="session")
def classifier(encoders):
    """Classifiers by the name of their label space."""
    made = {}

    def make(name: str) -> Classifier:
        if name not in made:
            labels = LABELS[name]
            torch.manual_seed(7)
            module = make_module(labels.kind, encoders("roberta"), labels=labels.to_dict())
            module.max_length, module.columns = 24, COLUMNS[name]
            module.build()
            for weight in module.network.parameters():
                weight.data.mul_(15)
            if name == "score":
                module.network.encoder.classifier.out_proj.bias.data.fill_(2.5)
            made[name] = Classifier(module.artefact)
        return made[name]

    return make
