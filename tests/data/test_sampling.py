"""How often rows are seen, from labels of every kind to the batches of a Trainer."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import jsonargparse
import numpy as np
import pytest

from lightning_clf.component import from_spec
from lightning_clf.data import (
    BaseDataModule,
    OverSampling,
    Sampling,
    SequenceDataModule,
    TokenDataModule,
    UnderSampling,
)
from lightning_clf.data.batching import token_lengths
from lightning_clf.errors import InputError

from .conftest import complaint, make_tokenizer
from .test_training import Recorder, trainer

SINGLE = {"a": 64, "b": 16, "c": 4}


def single(**counts: int) -> list[dict[str, Any]]:
    return [{"text": f"{name} {row}", "label": name} for name, count in counts.items() for row in range(count)]


def multi(*labels: str) -> list[dict[str, Any]]:
    return [{"text": f"text {row}", "labels": names.split()} for row, names in enumerate(labels)]


def tagged(*tags: str) -> list[dict[str, Any]]:
    return [{"tokens": ["a"] * len(line.split()), "tags": line.split()} for line in tags]


def ready(rows: list[dict[str, Any]], sampling: Sampling | None, kind: str = "single", **options: Any) -> Any:
    """A datamodule whose train split is these rows."""
    datamodule: BaseDataModule[Any]
    if kind == "tags":
        datamodule = TokenDataModule({"train": rows, "dev": rows}, sampling=sampling, **options)
    else:
        datamodule = SequenceDataModule({"train": rows, "dev": rows}, kind=kind, sampling=sampling, **options)  # type: ignore[arg-type]
    datamodule.tokenizer = make_tokenizer()
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def epochs(datamodule: Any, count: int) -> list[list[int]]:
    """The rows of some epochs."""
    loader = datamodule.train_dataloader()
    drawn = []
    for epoch in range(count):
        loader.sampler.set_epoch(epoch)
        drawn.append([row for batch in loader for row in batch.example_ids.tolist()])
    return drawn


def factors(rows: list[dict[str, Any]], sampling: Sampling, kind: str, **options: Any) -> list[float]:
    """The factor of each row."""
    datamodule = ready(rows, sampling, kind, **options)
    quotas = sampling.quotas(datamodule._rows_of("train"), datamodule.labels)
    found: list[float] = quotas.factors[quotas.group].tolist()
    return found


class TestCounts:
    @pytest.mark.parametrize(
        ("sampling", "expected"),
        [
            (OverSampling(), {"a": 64, "b": 2 * 16, "c": 4 * 4}),
            (OverSampling(by="inverse", most=100), {"a": 64, "b": 64, "c": 64}),
            (OverSampling(by="inverse"), {"a": 64, "b": 64, "c": 10 * 4}),
            (OverSampling(factors={"c": 2.5}), {"a": 64, "b": 16, "c": 10}),
            (UnderSampling(), {"a": 16, "b": 8, "c": 4}),
            (UnderSampling(by="inverse"), {"a": 4, "b": 4, "c": 4}),
            (UnderSampling(factors={"a": 0.25, "b": 0.01}), {"a": 16, "b": 1, "c": 4}),
        ],
    )
    def test_labels_of_an_epoch(self, sampling: Sampling, expected: dict[str, int]) -> None:
        rows = single(**SINGLE)
        datamodule = ready(rows, sampling)
        for drawn in epochs(datamodule, 3):
            assert Counter(rows[row]["label"] for row in drawn) == expected
        assert datamodule.num_train == sum(expected.values())
        # what class weights are made of stays what train has
        assert datamodule.class_counts.by_name() == SINGLE

    def test_effective_numbers(self) -> None:
        def number(n: int) -> float:
            return (1 - 0.9999**n) / (1 - 0.9999)

        rows = single(a=900, b=30)
        assert factors(rows, OverSampling(by="effective", most=100), "single")[-1] == pytest.approx(
            number(900) / number(30), rel=1e-9
        )
        assert factors(rows, UnderSampling(by="effective"), "single")[0] == pytest.approx(
            number(30) / number(900), rel=1e-9
        )

    def test_a_row_of_several_labels_goes_by_its_rarest(self) -> None:
        rows = multi("a", "a b", "", "a", "b a c", "a", "a", "b", "a", "a", "b")  # a 8, b 4, c 1, none 1
        root = 2**0.5
        assert factors(rows, OverSampling(), "multi") == pytest.approx([1, root, 1, 1, 8**0.5, 1, 1, root, 1, 1, root])
        assert factors(rows, UnderSampling(by="inverse"), "multi") == pytest.approx(
            [1 / 8, 1 / 4, 1, 1 / 8, 1, 1 / 8, 1 / 8, 1 / 4, 1 / 8, 1 / 8, 1 / 4]
        )
        # of what is named, the largest decides
        assert factors(rows, OverSampling(factors={"b": 3}), "multi") == [1, 3, 1, 1, 3, 1, 1, 3, 1, 1, 3]

    def test_rows_without_labels_are_dropped_like_a_label_and_never_repeated(self) -> None:
        rows = multi("a", "a", "b", *[""] * 8)
        assert factors(rows, UnderSampling(by="inverse"), "multi") == pytest.approx([0.5, 0.5, 1] + [1 / 8] * 8)
        assert factors(rows, OverSampling(by="inverse"), "multi") == [1, 1, 2] + [1] * 8
        assert factors(rows, UnderSampling(factors={"a": 0.5}), "multi") == [0.5, 0.5, 1] + [1] * 8
        assert factors(multi("", "", ""), UnderSampling(), "multi", labels=["a", "b"]) == [1, 1, 1]

    @pytest.mark.parametrize("scheme", ["IOB2", "BIOES"])
    def test_sentences_go_by_their_rarest_entity_type(self, scheme: Any) -> None:
        # PER four times, LOC once; words inside of entities do not count
        rows = tagged("B-PER I-PER I-PER O", "O O", "B-PER B-PER", "B-LOC I-LOC B-PER", "O")
        options = {"model_scheme": scheme}
        assert factors(rows, OverSampling(by="inverse"), "tags", **options) == [1, 1, 1, 4, 1]
        assert factors(rows, UnderSampling(by="inverse"), "tags", **options) == [0.25, 0.5, 0.25, 1, 0.5]
        assert factors(rows, UnderSampling(factors={"O": 0.1}), "tags", **options) == [1, 0.1, 1, 1, 0.1]
        assert factors(rows, OverSampling(factors={"LOC": 2.5}), "tags", **options) == [1, 1, 1, 2.5, 1]

    def test_tags_that_are_not_spans_are_compared_themselves(self) -> None:
        rows = tagged("NOUN VERB", "NOUN O", "NOUN NOUN", "NOUN O")  # NOUN 5, O 2, VERB 1
        assert factors(rows, OverSampling(by="inverse"), "tags", scheme="none") == [5, 2.5, 1, 2.5]
        assert factors(rows, OverSampling(factors={"O": 2}), "tags", scheme="none") == [1, 2, 1, 2]

    def test_labels_train_does_not_have(self) -> None:
        rows = single(a=4, b=1)
        assert factors(rows, OverSampling(by="inverse"), "single", labels=["b", "none", "a"]) == [1, 1, 1, 1, 4]
        assert factors(rows, UnderSampling(by="inverse"), "single", labels=["b", "none", "a"]) == [0.25] * 4 + [1]

    def test_rows_that_are_held_out_do_not_count(self) -> None:
        sampling = OverSampling(by="inverse", most=100)
        datamodule = SequenceDataModule(single(a=100, b=10), sampling=sampling, val_fraction=0.5)
        datamodule.tokenizer = make_tokenizer()
        datamodule.prepare_data()
        datamodule.setup()
        counts = datamodule.class_counts.by_name()
        assert counts == {"a": 50, "b": 5}
        assert datamodule.num_train == 100


class TestEpochs:
    def test_another_epoch_takes_other_rows_until_each_had_its_turn(self) -> None:
        drawn = epochs(ready(single(**SINGLE), UnderSampling(by="inverse")), 16)
        assert len({tuple(sorted(rows)) for rows in drawn}) == 16
        assert all(len(rows) == len(set(rows)) == 12 for rows in drawn)
        total = np.bincount(list(chain(*drawn)))
        assert total.tolist() == [1] * 64 + [4] * 16 + [16] * 4  # 16 epochs times 1/16, 1/4 and 1

    def test_the_mean_over_epochs_is_the_factor(self) -> None:
        drawn = epochs(ready(single(**SINGLE), OverSampling(factors={"c": 1.75, "b": 3.25})), 4)
        assert all(set(rows) == set(range(84)) for rows in drawn)
        assert np.bincount(list(chain(*drawn))).tolist() == [4] * 64 + [13] * 16 + [7] * 4

    def test_order_follows_from_the_seed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = single(**SINGLE)
        first, second = (epochs(ready(rows, UnderSampling()), 2) for _ in range(2))
        assert first == second
        monkeypatch.setenv("PL_GLOBAL_SEED", "5")
        assert sorted(epochs(ready(rows, UnderSampling()), 1)[0]) != sorted(first[0])

    def test_none_is_every_row_once(self) -> None:
        rows = single(**SINGLE)
        plain = ready(rows, None)
        assert [sorted(drawn) for drawn in epochs(plain, 2)] == [list(range(84))] * 2
        assert plain.num_train == 84
        # and a sampling that changes nothing has as many rows
        assert sorted(epochs(ready(rows, OverSampling(factors={"c": 1.0})), 1)[0]) == list(range(84))


class TestTrainer:
    @pytest.mark.parametrize("options", [{}, {"group_by_length": False}, {"batch_tokens": 40, "max_length": 16}])
    def test_every_epoch_has_the_steps_that_were_foreseen(self, options: dict[str, Any]) -> None:
        rows = single(a=20, b=3)
        rows = [{**row, "text": row["text"] + " good" * (number % 9)} for number, row in enumerate(rows)]
        datamodule = SequenceDataModule(
            {"train": rows, "dev": rows}, batch_size=4, sampling=UnderSampling(by="inverse"), **options
        )
        module, fitting = Recorder(), trainer(max_epochs=5, limit_val_batches=0, accumulate_grad_batches=2)
        steps = []
        module.on_train_start = lambda: steps.append(fitting.estimated_stepping_batches)  # type: ignore[method-assign]
        fitting.fit(module, datamodule=datamodule)
        assert steps == [fitting.global_step]
        assert len(module.seen["train"]) == 5 * fitting.num_training_batches
        assert sum(map(len, module.seen["train"])) == 5 * 6
        assert set(chain(*module.seen["train"])) >= set(range(20, 23))
        if "batch_tokens" in options:
            lengths = token_lengths(datamodule._rows_of("train"))
            assert all(len(batch) * lengths[batch].max() <= 40 for batch in module.seen["train"])

    def test_overfitting_keeps_to_the_rows_of_the_first_epoch(self) -> None:
        rows = {"train": single(a=3, b=1, c=2), "dev": single(a=1, b=1, c=1)}
        datamodule = SequenceDataModule(rows, batch_size=4, sampling=OverSampling(factors={"b": 3}))
        module = Recorder()
        trainer(max_epochs=2, overfit_batches=2).fit(module, datamodule=datamodule)
        assert module.seen["train"] == [[0, 1, 2, 3], [3, 3, 4, 5]] * 2

    def test_from_a_configuration(self) -> None:
        parser = jsonargparse.ArgumentParser(exit_on_error=False)
        parser.add_subclass_arguments(BaseDataModule, "data")
        sampling = "{class_path: OverSampling, init_args: {factors: {rare: 3.0}}}"
        words = ["--data=SequenceDataModule", "--data.source=x", f"--data.sampling={sampling}"]
        made = parser.instantiate(parser.parse_args(words)).data.loading.sampling
        assert type(made) is OverSampling
        assert (made.by, made.factors, made.most) == (None, {"rare": 3.0}, 10.0)
        again = from_spec(made.spec(), Sampling)
        assert (type(again), again.spec()) == (OverSampling, made.spec())


class TestRefusals:
    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (
                lambda: OverSampling(by="inverse", factors={"a": 2}),
                "data.sampling has both by and factors, which contradict each other: keep one of them",
            ),
            (
                lambda: UnderSampling(by="root"),  # type: ignore[arg-type]
                "data.sampling.by 'root' is unknown: use one of inverse, sqrt_inverse, effective",
            ),
            (
                lambda: OverSampling(factors={}),
                "data.sampling.factors names no label: name one, such as {rare: 3.0}, or leave it out",
            ),
            (
                lambda: OverSampling(factors={1: 3.0}),  # type: ignore[dict-item]
                "data.sampling.factors has the key 1, which is no text: put names of labels in quotes",
            ),
            (lambda: OverSampling(factors={"a": 0}), "data.sampling.factors['a'] is 0: give 1 or more"),
            (
                lambda: OverSampling(factors={"a": "2"}),
                "data.sampling.factors['a'] is '2', which is no number: give 1 or more",
            ),
            (lambda: OverSampling(factors={"a": float("nan")}), "data.sampling.factors['a'] is nan: give 1 or more"),
            (
                lambda: OverSampling(factors={"a": 0.5}),
                "data.sampling.factors['a'] is 0.5, but OverSampling sees every row: give 1 or more, or UnderSampling",
            ),
            (
                lambda: OverSampling(factors={"a": 20}),
                "data.sampling.factors['a'] is 20, above data.sampling.most 10: lower it, or raise data.sampling.most",
            ),
            (lambda: OverSampling(most=0.5), "data.sampling.most is 0.5: give 1 or more"),
            (lambda: UnderSampling(factors={"a": -1}), "data.sampling.factors['a'] is -1: give a number above 0"),
            (
                lambda: UnderSampling(factors={"a": 2}),
                "data.sampling.factors['a'] is 2, but UnderSampling repeats no row: give at most 1, or OverSampling",
            ),
        ],
    )
    def test_arguments(self, make: Any, said: str) -> None:
        assert complaint(make) == said

    def test_unknown_names(self) -> None:
        message = "data.sampling.factors names {} 'x', which is not one of: {}: correct it or leave it out"
        sampling = OverSampling(factors={"x": 2})
        assert complaint(lambda: ready(single(a=2, b=2), sampling)) == message.format("label", "a, b")
        rows = tagged("B-PER O", "B-LOC")
        assert complaint(lambda: ready(rows, sampling, "tags")) == message.format("entity type", "O, LOC, PER")

    def test_scores(self) -> None:
        rows = [{"text": "a", "score": 1.0}, {"text": "b", "score": 2.0}]
        message = complaint(lambda: ready(rows, UnderSampling(), "score", score_range=(0, 5)))
        assert message == (
            "data.sampling UnderSampling goes by how rare a label is, but data.kind is score: leave data.sampling out"
        )

    def test_a_sampling_of_ones_own_that_leaves_nothing(self) -> None:
        class Nothing(Sampling):
            def class_factors(self, classes: Any) -> Any:
                return np.zeros(len(classes.names))

        datamodule = ready(single(a=2, b=2), Nothing())
        with pytest.raises(InputError, match="leaves no row of train"):
            datamodule.train_dataloader()


def test_an_epoch_is_gone_on_with_only_as_it_was_drawn() -> None:
    datamodule = SequenceDataModule({"train": []}, sampling=OverSampling(factors={"a": 2.0}))
    place = {"order": 0, "epoch": 1, "batches": 3}
    same, other = ({**place, "sampling": drawn} for drawn in (datamodule.loading.drawn_by, None))
    datamodule.load_state_dict(same)
    said = complaint(lambda: datamodule.load_state_dict(other))
    assert "but the checkpoint was written amid an epoch drawn by None" in said
    datamodule.load_state_dict({**other, "batches": 0})  # the next epoch may be drawn by another
