"""Counts a row give what the metrics of an epoch give, of all rows and of some."""

from __future__ import annotations

import pytest
import torch

from lightning_clf.batch import IGNORE
from lightning_clf.metrics import build_metrics
from lightning_clf.prediction import Prediction
from lightning_clf.reporting.outcomes import Outcomes, count
from lightning_clf.reporting.resampling import agreement, scores_of
from tests.reporting.drawn import SPACES, dense, outcomes


def of_an_epoch(found: Outcomes) -> dict[str, float]:
    """The numbers of the module's own metrics."""
    metrics, size = build_metrics(found.labels), len(found.labels)
    match found.labels.kind:
        case "single":
            metrics.update(Prediction(torch.tensor(found.predicted)), torch.tensor(found.gold))
        case "multi":
            chosen, right = (torch.tensor(dense(side, size)) for side in (found.predicted, found.gold))
            metrics.update(Prediction(chosen), right.float())
        case "score":
            metrics.update(Prediction(scores=torch.tensor(found.predicted)), torch.tensor(found.gold))
        case "tags":
            for gold, given in zip(found.gold, found.predicted, strict=True):
                pad = [IGNORE] * (8 - len(gold))
                metrics.update(Prediction(torch.tensor([given + pad])), torch.tensor([gold + pad]))
    return {name: value.item() for name, value in metrics.compute().items()}


@pytest.mark.parametrize("kind", ["single", "multi", "tags", "words"])
@pytest.mark.parametrize("chosen", [range(40), [3, 5, 6, 11, 30], [7]], ids=["all", "some", "one"])
def test_counts_are_those_of_an_epoch(kind, chosen):
    found = outcomes(kind)
    part = Outcomes(found.labels, [found.gold[row] for row in chosen], [found.predicted[row] for row in chosen])
    summary = count(found).of(list(chosen)).of_all()
    expected = of_an_epoch(part)
    assert {name: value.item() for name, value in summary.scalars.items()} == {
        name: expected[name] for name in summary.scalars
    }
    names = found.labels.entity_types or found.labels.names
    assert summary.tally.f1.tolist() == [expected[f"f1/{name}"] for name in names]
    drawn = torch.bincount(torch.tensor(list(chosen)), minlength=len(found))[None]
    assert count(found).total(drawn).equal(count(part).total(torch.ones(1, len(part), dtype=torch.int64)))


def test_scores_are_those_of_an_epoch():
    found = outcomes("score")
    expected = of_an_epoch(found)
    for name, value in agreement(*scores_of(found)).items():
        assert value.item() == pytest.approx(expected[name], abs=1e-6)  # an epoch keeps float32
    with pytest.raises(ValueError, match="correlations are not made of counts"):
        count(found)


def test_a_score_is_right_near_the_right_one():
    found = Outcomes(SPACES["score"], [0.0, 0.0, 5.0, 2.0], [-9.0, 0.6, 7.0, 2.5])
    assert found.answers == [0.0, 0.6, 5.0, 2.5]
    assert found.right() == [True, False, True, True]
