"""Teachers of every kind."""

from __future__ import annotations

import pytest
import torch

from tests.training import LABELS, make_module


@pytest.fixture(scope="module")
def teacher(encoders, tmp_path_factory):
    """An export of each kind, whose answers to inputs differ."""
    made = {}

    def make(kind, architecture="bert", labels=None, **options):
        key = kind, architecture, str(labels), str(options)
        if key not in made:
            torch.manual_seed(1)
            spaces = (labels or LABELS[kind]).to_dict()
            module = make_module(kind, encoders(architecture), labels=spaces, **options)
            module.columns = {"text": "text", "text_pair": "text_pair"} if kind == "score" else {}
            module.max_length = 32
            module.build()
            for weight in module.network.parameters():
                weight.data.mul_(6)
            made[key] = tmp_path_factory.mktemp(kind) / "teacher"
            module.export(made[key])
        return made[key]

    return make
