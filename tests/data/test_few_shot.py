"""A few rows a label, and what becomes of the others."""

from __future__ import annotations

from collections import Counter

import pytest
from transformers import AutoTokenizer

from lightning_clf import FewShotDataModule
from lightning_clf.data.shots import draw_shots
from tests.training import complaint

ROWS = [{"text": f"text {number}", "label": "abc"[number % 3]} for number in range(60)]


def made(encoders, source=None, stage="fit", **options) -> FewShotDataModule:
    """A datamodule that is set up."""
    data = FewShotDataModule(source or {"train": ROWS}, max_length=16, **options)
    data.tokenizer = AutoTokenizer.from_pretrained(encoders("bert"))
    data.prepare_data()
    data.setup(stage)
    return data


def drawn(data: FewShotDataModule, split: str) -> list[int]:
    """The rows of a split, by their places in what they are out of."""
    return sorted(data._rows_of(split)["example_id"][:])


def test_so_many_rows_a_label_and_the_rest_as_dev_and_test(encoders):
    data = made(encoders, shots=4)
    train, dev, test = (drawn(data, split) for split in ("train", "val", "test"))
    assert Counter(ROWS[row]["label"] for row in train) == {"a": 4, "b": 4, "c": 4}
    assert sorted(train + dev + test) == list(range(60))
    assert len(dev) == 5  # a tenth of the 48 others
    assert data.class_counts.counts == (4, 4, 4)


def test_the_choice_follows_from_the_seed(encoders):
    first, again, other = (drawn(made(encoders, shots=4, seed=seed), "train") for seed in (1, 1, 2))
    assert first == again != other
    assert draw_shots([0, 1] * 4, 2, 2, seed=0) == ([1, 2, 3, 4], [0, 5, 6, 7])  # on every machine


def test_splits_of_the_source_are_left_as_they_are(encoders):
    data = made(encoders, {"train": ROWS, "dev": ROWS[:7], "test": ROWS[:9]}, shots=2)
    assert [len(drawn(data, split)) for split in ("train", "val", "test")] == [6, 7, 9]


def test_of_few_rows_the_dev_split_is_one_of_the_few(encoders):
    for shots in (None, 20):
        data = made(encoders, shots=shots, val_fraction=0.2)
        assert (len(drawn(data, "train")), len(drawn(data, "val"))) == (48, 12)
        assert "has no test split" in complaint(lambda data=data: drawn(data, "test"))


def test_what_becomes_of_few_rows_is_said(encoders, caplog):
    rows = [{"text": f"text {number}", "label": "aab"[number % 3]} for number in range(24)]
    with caplog.at_level("INFO"):
        made(encoders, {"train": rows, "test": rows}, shots=10)
    assert [message for message in caplog.messages if message.startswith("train: ")] == [
        "train: 18 of 24 rows are drawn, all there are of what has fewer than 10 (b 8) (data.seed=0)",
        "train: 1 of the others are the dev split",
    ]
    with pytest.warns(UserWarning, match="too few to tell") as said:
        made(encoders, {"train": rows, "test": rows}, shots=None)
    assert str(said[0].message) == (
        "train: 2 of 24 rows are held out as dev split (data.seed=0), too few to tell which epoch is best: give a dev "
        "split"
    )


def test_rows_with_several_labels_and_with_none():
    targets = [[0], [0, 1], [1], [], [0], [], [1, 2], [], [2], [0, 1, 2]] * 5
    kept, others = draw_shots(targets, 3, 3, seed=4)
    counts = Counter(label for row in kept for label in targets[row] or [3])
    assert min(counts.values()) >= 3
    assert counts[3] == 3
    assert len(kept) <= 12
    assert sorted(kept + others) == list(range(50))


def test_without_a_module_that_learns_from_pairs_batches_are_of_rows(encoders):
    data = made(encoders, shots=8)
    assert data.pairs is None
    batches = list(data.train_dataloader())
    assert [len(batch) for batch in batches] == [16, 8]
    assert all(batch.pairs is None for batch in batches)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shots": 0}, "data.shots is 0: give 1 or more"),
        ({"pairs": 1}, "data.pairs is 1: give 2 or more"),
        ({"kind": "score"}, "FewShotDataModule has no kind 'score': use single or multi"),
    ],
)
def test_refusals(options, message):
    assert complaint(lambda: FewShotDataModule({"train": ROWS}, **options)) == message
