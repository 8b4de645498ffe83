"""The examples in the docstrings run."""

from __future__ import annotations

import doctest

import pytest

from lightning_clf.metrics import EntityF1, MultiLabelScores, Scores, SingleLabelScores


@pytest.mark.parametrize("metric", [EntityF1, MultiLabelScores, SingleLabelScores])
def test_examples_run(metric: type[Scores]) -> None:
    [example] = doctest.DocTestFinder(recurse=False).find(metric)
    assert doctest.DocTestRunner().run(example).failed == 0
    assert example.examples
