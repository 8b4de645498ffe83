"""A model whose scores are no numbers answers nothing."""

from __future__ import annotations

import copy

import pytest
import torch

from lightning_clf.batch import Batch
from lightning_clf.inference import Classifier
from lightning_clf.inference.finite import check_finite
from lightning_clf.inference.inputs import ReadRow
from tests.inference.conftest import LABELS
from tests.inference.test_classifier import rows
from tests.training import complaint

REMEDY = "its weights are damaged, or too large for this precision; train it again, or take another"


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_damaged_weights_are_refused_for_every_kind(name, value, classifier):
    artefact = copy.deepcopy(classifier(name).artefact)
    for weights in list(artefact.network.parameters())[-2:]:
        weights.data.fill_(value)
    message = complaint(lambda: Classifier(artefact).predict(rows(name)))
    assert message.startswith("the model gives no number for ")
    assert message.endswith(REMEDY)


def test_the_first_text_is_told_and_cut_short():
    read = [ReadRow(("fine",)), ReadRow(("a long text " * 9, "b")), ReadRow(("c",))]
    scores = torch.tensor([[0.0, 1.0], [torch.nan, 0.0], [0.0, -torch.inf]])
    message = complaint(lambda: check_finite(scores, batch_of(None), read))
    assert (
        message == f"the model gives no number for 'a long text a long text a long text a long text a long …': {REMEDY}"
    )
    check_finite(scores[:1], batch_of(None), read[:1])


def test_what_stands_where_no_word_is_says_nothing():
    batch, read = batch_of(torch.tensor([[1, -1], [1, 2]])), [ReadRow(words=["a", "b"]), ReadRow(words=["c", "d"])]
    for shape in ((2, 2, 3), (2, 2, 4, 3)):  # of tags, and of spans
        scores = torch.zeros(shape)
        scores[0, 1] = torch.nan
        check_finite(scores, batch, read)
        scores[1, 1, 0] = torch.nan
        assert "no number for 'c d': " in complaint(lambda scores=scores: check_finite(scores, batch, read))


def batch_of(first_subword):
    one = torch.zeros(2, 3, dtype=torch.int64)
    return Batch({"input_ids": one}, torch.arange(2), torch.arange(2), first_subword=first_subword)
