"""The set of metrics a module uses: names, shapes, copies, devices' worth of care."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch

from lightning_clf.batch import IGNORE
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import build_metrics
from lightning_clf.prediction import Prediction

AVERAGES = {"accuracy", "f1_macro", "f1_micro", "f1_weighted", "precision_macro", "recall_macro"}
RANKING = {"auroc", "average_precision", "ece"}
SPACES = {
    "single": (LabelSpace.of(["no", "yes"], "single"), AVERAGES | RANKING),
    "multi": (LabelSpace.of(["joy", "anger"], "multi"), AVERAGES | RANKING | {"f1_samples", "hamming_loss"}),
    "tags": (LabelSpace.tags(["PER", "LOC"], "IOB2"), {"entity_precision", "entity_recall", "entity_f1", "accuracy"}),
    "words": (LabelSpace.tags(["NOUN", "VERB"], "none"), AVERAGES),
    "score": (LabelSpace.score(0, 5), {"pearson", "spearman", "mse"}),
}


def batch(name: str) -> tuple[Prediction, torch.Tensor]:
    """A batch of two examples for one of the spaces."""
    probabilities = torch.tensor([[0.3, 0.7], [0.6, 0.4]])
    match name:
        case "single":
            return Prediction(torch.tensor([1, 0]), probabilities), torch.tensor([1, 1])
        case "multi":
            return Prediction(torch.tensor([[0, 1], [1, 0]]), probabilities), torch.tensor([[0.0, 1.0], [1.0, 1.0]])
        case "score":
            return Prediction(scores=torch.tensor([1.0, 2.0])), torch.tensor([0.5, 4.5])
        case _:
            return Prediction(torch.tensor([[1, 0], [1, 0]])), torch.tensor([[1, 0], [0, IGNORE]])


@pytest.mark.parametrize("name", SPACES)
def test_names(name: str) -> None:
    labels, scalars = SPACES[name]
    classes = labels.entity_types or (labels.names if name != "score" else ())
    expected = scalars | {f"{score}/{label}" for score in ("precision", "recall", "f1") for label in classes}
    metrics = build_metrics(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert set(metrics.compute()) == expected  # before any batch too
    metrics.update(*batch(name))
    values = metrics.compute()
    assert set(values) == expected
    assert all(value.shape == () and value.dtype == torch.float64 for value in values.values())
    assert [row.label for row in metrics.per_class()] == list(classes)
    assert (metrics.confusion() is None) == (name == "score")


@pytest.mark.parametrize("name", SPACES)
def test_copies_are_independent_and_reset_forgets(name: str) -> None:
    train = build_metrics(SPACES[name][0])
    train.update(*batch(name))
    first = {key: value.item() for key, value in train.compute().items()}
    val = copy.deepcopy(train)
    val.reset()
    val.update(*batch(name))
    assert {key: value.item() for key, value in val.compute().items()} == pytest.approx(first, nan_ok=True)
    assert {key: value.item() for key, value in train.compute().items()} == pytest.approx(first, nan_ok=True)


@pytest.mark.parametrize("name", SPACES)
def test_checkpoints_hold_no_counts(name: str) -> None:
    metrics = build_metrics(SPACES[name][0])
    metrics.update(*batch(name))
    assert metrics.state_dict() == {}
    assert list(metrics.buffers()) == []  # DDP broadcasts buffers before every step


@pytest.mark.parametrize("name", SPACES)
def test_updates_of_inference_mode_and_of_training_mix(name: str) -> None:
    metrics = build_metrics(SPACES[name][0])
    with torch.inference_mode():
        metrics.update(*batch(name))
        metrics.compute()
        metrics.reset()
        metrics.update(*batch(name))
    metrics.update(*batch(name))
    assert metrics.compute()


def test_a_head_without_probabilities_leaves_ranking_undefined() -> None:
    metrics = build_metrics(SPACES["single"][0])
    metrics.update(Prediction(torch.tensor([1, 0])), torch.tensor([1, 1]))
    with pytest.warns(UserWarning, match="RankingScores"):
        values = metrics.compute()
    assert values["accuracy"].item() == 0.5
    assert values["auroc"].isnan()


def test_a_head_without_decisions_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"SingleLabelScores needs Prediction\.indices"):
        build_metrics(SPACES["single"][0]).update(Prediction(), torch.tensor([1]))


def test_gradients_are_not_kept() -> None:
    metrics = build_metrics(SPACES["single"][0])
    logits = torch.zeros(2, 2, requires_grad=True)
    metrics.update(Prediction(torch.tensor([1, 0]), logits.softmax(1)), torch.tensor([1, 0]))
    assert not any(value.requires_grad for value in metrics.compute().values())
