"""The last layer of one token is that of all of them, seen from the head; what reads more tokens has them all."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from lightning_clf import LabelSpace
from lightning_clf.first_token import narrow_last_layer
from lightning_clf.heads import ArchitectureHead, LinearHead, MLPHead
from tests.tiny import ARCHITECTURES
from tests.training import make_module

INPUTS = {"input_ids": torch.arange(5, 29).view(3, 8), "attention_mask": torch.ones(3, 8, dtype=torch.long)}
INPUTS["attention_mask"][1, 5:] = 0
LABELS = LabelSpace.of(["bad", "fine", "good"], "single")
NARROWED = {"bert", "roberta", "electra", "xlm-roberta"}


class OwnForward(LinearHead):
    """A head that reads every token, whatever its pooling is called."""

    def forward(self, hidden, batch):
        return self.output(hidden.mean(1))


class OwnHidden(ArchitectureHead):
    """A head that looks at the encoder's output itself."""

    def hidden(self, output):
        return super().hidden(output)


def is_narrow(model) -> bool:
    """Whether the last layer's output is of one token."""
    return model.base_model(**INPUTS).last_hidden_state.shape[1] == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_and_gradients_are_those_of_the_whole_layer(architecture, encoders):
    results = []
    model = AutoModelForSequenceClassification.from_pretrained(encoders(architecture), num_labels=3).double()
    model.config.pad_token_id = 0
    for _ in range(2):
        logits = model(**INPUTS).logits
        logits.square().sum().backward()
        results.append({"logits": logits, **{name: weight.grad for name, weight in model.named_parameters()}})
        model.zero_grad()
        narrow_last_layer(model)
    whole, narrowed = results
    assert is_narrow(model) == (architecture in NARROWED)
    for name, value in whole.items():
        torch.testing.assert_close(
            narrowed[name], value, atol=1e-12, rtol=1e-9, msg=lambda said, name=name: f"{name}: {said}"
        )


@pytest.mark.parametrize(
    ("kind", "head", "narrow"),
    [
        ("single", None, True),
        ("score", None, True),
        ("tags", None, False),
        ("single", LinearHead(), True),
        ("single", LinearHead(pooling="mean"), False),
        ("single", LinearHead(pooling="last"), False),
        ("tags", LinearHead(), False),
        ("single", MLPHead(), True),
        ("single", OwnForward(), False),
        ("single", OwnHidden(), False),
    ],
)
def test_only_what_reads_the_first_token_alone(kind, head, narrow, encoders):
    labels = {"single": LABELS, "score": LabelSpace.score(0, 5), "tags": LabelSpace.tags(["PER"], "IOB2")}[kind]
    module = make_module(kind, encoders("bert"), head=head, labels=labels.to_dict())
    module.build()
    assert is_narrow(module.network.encoder) == narrow
