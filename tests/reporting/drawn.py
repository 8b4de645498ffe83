"""Outcomes drawn at random, and scored without this library."""

from __future__ import annotations

import random

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, hamming_loss

from lightning_clf import LabelSpace
from lightning_clf.reporting.outcomes import Outcomes

SPACES = {
    "single": LabelSpace.of(["bad", "fine", "good"], "single"),
    "multi": LabelSpace.of(["fear", "joy", "rage"], "multi"),
    "tags": LabelSpace.tags(["LOC", "PER"], "IOB2"),
    "words": LabelSpace.tags(["DT", "NN", "VB"], "none"),
    "score": LabelSpace.score(0, 5),
}


def outcomes(kind: str, rows: int = 40, seed: int = 0) -> Outcomes:
    """Answers that are right more often than not."""
    chance, labels = random.Random(seed), SPACES[kind]
    size = len(labels)

    def answer():
        match kind:
            case "single":
                return chance.randrange(size)
            case "multi":
                return sorted(chance.sample(range(size), chance.randrange(size)))
            case "score":
                return chance.randrange(11) / 2
        return [chance.randrange(size) for _ in range(1 + chance.randrange(6))]

    def mostly(gold):
        if isinstance(gold, list) and kind != "multi":
            return [tag if chance.random() < 0.7 else chance.randrange(size) for tag in gold]
        if kind == "score":
            return gold + chance.gauss(0, 1)
        return gold if chance.random() < 0.6 else answer()

    gold = [answer() for _ in range(rows)]
    return Outcomes(labels, gold, [mostly(each) for each in gold])


def dense(labels: list[list[int]], size: int) -> np.ndarray:
    """Lists of labels as 0 and 1."""
    return np.array([[int(label in row) for label in range(size)] for row in labels])


def by_sklearn(kind: str, gold: list, given: list) -> dict[str, float]:
    """Some numbers of a task, as scikit-learn and numpy have them."""
    if kind == "score":
        low_high = np.clip(given, 0, 5)
        return {"pearson": np.corrcoef(gold, given)[0, 1], "mse": np.mean((low_high - np.array(gold)) ** 2)}
    if kind == "multi":
        gold, given = dense(gold, 3), dense(given, 3)
        return {
            "accuracy": accuracy_score(gold, given),
            "f1_macro": f1_score(gold, given, average="macro", zero_division=0),
            "f1_micro": f1_score(gold, given, average="micro", zero_division=0),
            "f1_samples": f1_score(gold, given, average="samples", zero_division=0),
            "hamming_loss": hamming_loss(gold, given),
        }
    if kind == "words":
        gold, given = ([tag for row in side for tag in row] for side in (gold, given))
    return {
        "accuracy": accuracy_score(gold, given),
        "f1_macro": f1_score(gold, given, average="macro", zero_division=0),
        "f1_weighted": f1_score(gold, given, average="weighted", zero_division=0),
    }
