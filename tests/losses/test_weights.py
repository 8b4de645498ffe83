"""Class weights: from counts to six digits, as a user writes them, and in a checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from lightning_clf.counts import ClassCounts
from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace
from lightning_clf.losses import BCELoss, BinaryFocalLoss, CrossEntropyLoss, FocalLoss, MSELoss, class_weights

LABELS = LabelSpace.of(["a", "b", "c"], "single")
MULTI = LabelSpace.of(["a", "b", "c"], "multi")
COUNTS = [9000, 800, 200]


def counted(counts: list[int], labels: LabelSpace = LABELS) -> ClassCounts:
    """Counts of single labels."""
    return ClassCounts(labels, tuple(counts), sum(counts))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("inverse", [0.370370, 4.166667, 16.666667]),  # 10000 / (3 n)
        ("sqrt_inverse", [0.271191, 0.909603, 1.819206]),
        ("effective", [0.077545, 0.598527, 2.323928]),
    ],
)
def test_figures_worked_out_by_hand(strategy: Any, expected: list[float]) -> None:
    weights = class_weights(strategy, COUNTS)
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("counts", [COUNTS, [1, 1], [1, 10**7, 3, 50], [5]])
def test_formulas(counts: list[int]) -> None:
    total = sum(counts)
    assert class_weights("inverse", counts).tolist() == pytest.approx([total / (len(counts) * n) for n in counts])
    for strategy, formula in (
        ("sqrt_inverse", lambda n: n**-0.5),
        ("effective", lambda n: (1 - 0.9999) / (1 - 0.9999**n)),
    ):
        raw = [formula(count) for count in counts]
        expected = [value * len(raw) / sum(raw) for value in raw]
        assert class_weights(strategy, counts).tolist() == pytest.approx(expected, rel=1e-6)


def test_inverse_is_what_scikit_learn_calls_balanced() -> None:
    gold = np.repeat(range(3), COUNTS)
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=gold)
    assert class_weights("inverse", COUNTS).tolist() == pytest.approx(balanced, rel=1e-6)


def test_absent_classes_weigh_nothing_and_shift_no_other() -> None:
    counts = [9000, 0, 800, 200, 0]
    for strategy in ("sqrt_inverse", "effective"):
        first, none, *rest, last = class_weights(strategy, counts).tolist()
        assert [first, *rest] == pytest.approx(class_weights(strategy, COUNTS).tolist(), rel=1e-6)
        assert none == last == 0
    assert class_weights("inverse", counts).tolist() == pytest.approx([2 / 9, 0, 2.5, 10, 0], rel=1e-6)


@pytest.mark.parametrize("strategy", ["inverse", "sqrt_inverse", "effective"])
@pytest.mark.parametrize("make", [BCELoss, BinaryFocalLoss])
def test_that_a_label_train_lacks_is_not_to_be_given_is_learned_of_its_absences(make: Any, strategy: Any) -> None:
    loss = make(class_weights=strategy)
    loss.build(MULTI)
    loss.fit_counts(ClassCounts(MULTI, (9000, 0, 200), 10_000))
    first, _, last = class_weights(strategy, [9000, 0, 200]).tolist()
    assert loss.class_weights.tolist() == [first, 1, last]
    scores = torch.zeros(2, 3, requires_grad=True)
    loss(scores, torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])).mean.backward()
    assert (scores.grad[:, 1] > 0).all()
    single = CrossEntropyLoss(class_weights=strategy)
    single.build(LABELS)
    single.fit_counts(counted([9000, 0, 200]))
    assert single.class_weights[1] == 0  # the places of the other classes teach it


@pytest.mark.parametrize("strategy", ["inverse", "sqrt_inverse", "effective"])
def test_no_class_occurs(strategy: Any) -> None:
    assert class_weights(strategy, [0, 0]).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([1, 2.5, 0], [1, 2.5, 0]), ({"c": 3, "a": 0.5}, [0.5, 1, 3]), ({}, [1, 1, 1]), (None, [1, 1, 1])],
)
@pytest.mark.parametrize("make", [CrossEntropyLoss, BCELoss])
def test_declared_weights(make: Any, weights: Any, expected: list[float]) -> None:
    loss = make(class_weights=weights)
    loss.build(LABELS)
    loss.fit_counts(counted(COUNTS))  # has no say where weights are declared
    assert loss.class_weights.tolist() == expected


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"class_weights has 2 numbers for 3 labels: give one for each, in this order: a, b, c"),
        ({"d": 1.0}, r"class_weights names label 'd', which is not one of: a, b, c: correct it or leave it out"),
        ([1, -1, 1], r"class_weights gives label 'b' the weight -1: give it a finite number of 0 or more"),
        ([1, float("nan"), 1], r"gives label 'b' the weight nan: give it a finite number"),
        ({"a": float("inf")}, r"gives label 'a' the weight inf: give it a finite number"),
        ({"c": 1e39}, r"gives label 'c' the weight 1e\+39: give it a finite number"),  # beyond float32
    ],
)
def test_weights_that_make_no_sense(weights: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CrossEntropyLoss(weights).build(LABELS)


@pytest.mark.parametrize("make", [CrossEntropyLoss, BCELoss, FocalLoss, BinaryFocalLoss])
def test_a_misspelt_strategy_is_refused_at_once(make: Any) -> None:
    with pytest.raises(InputError, match="class_weights 'inverted' is unknown: use one of inverse, sqrt_inverse, eff"):
        make(class_weights="inverted")
    with pytest.raises(InputError, match="'inverted' is unknown"):
        class_weights("inverted", COUNTS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pos_weight", "expected"), [(2, [2, 2, 2]), ([1, 2, 3], [1, 2, 3]), ({"b": 4.0}, [1, 4, 1]), (1.0, [1, 1, 1])]
)
def test_weights_of_presences(pos_weight: Any, expected: list[float]) -> None:
    loss = BCELoss(pos_weight=pos_weight)
    loss.build(MULTI)
    assert loss.pos_weight.tolist() == expected
    with pytest.raises(InputError, match="pos_weight has 2 numbers for 3 labels"):
        BCELoss(pos_weight=[1, 2]).build(MULTI)


@pytest.mark.parametrize("make", [CrossEntropyLoss, BCELoss, FocalLoss, BinaryFocalLoss])
def test_weights_from_counts_travel_with_the_state(make: Any) -> None:
    fitted, restored = make(class_weights="sqrt_inverse"), make(class_weights="sqrt_inverse")
    for loss in (fitted, restored):
        loss.build(LABELS)
        assert loss.class_weights.tolist() == [1, 1, 1]
    fitted.fit_counts(counted(COUNTS))
    restored.load_state_dict(fitted.state_dict())
    assert restored.class_weights.tolist() == class_weights("sqrt_inverse", COUNTS).tolist()


def test_a_loss_that_weighs_no_class_takes_counts_too() -> None:
    loss = MSELoss()
    loss.build(LabelSpace.score(0, 5))
    loss.fit_counts(ClassCounts(LabelSpace.score(0, 1), (3,), 3))
    assert not loss.state_dict()
