"""`trainer.predict` answers the test split as prediction does, and says which row each answer is of."""

from __future__ import annotations

import pytest

from lightning_clf import MultiTaskClassifier
from lightning_clf.data.loading import Place
from lightning_clf.heads import LinearHead
from lightning_clf.inference import Classifier
from tests.several_tasks import make_tasks
from tests.training import ROWS, make_data, make_module, make_trainer


def by_row(found, field):
    """A field of the answers of batches, row by row, in the order of the rows."""
    ids = [row for batch in found for row in batch.example_ids.tolist()]
    values = [value for batch in found for value in getattr(batch.prediction, field).tolist()]
    assert sorted(ids) == list(range(len(values)))
    assert ids != sorted(ids)  # else nothing is put in order
    return [value for _, value in sorted(zip(ids, values, strict=True))]


def assert_answered(found, artefact, kind):
    """Answers of batches against those of a `Classifier`."""
    answers, names = Classifier(artefact).predict(ROWS[kind]), artefact.labels.names
    if kind == "score":
        assert by_row(found, "scores") == pytest.approx([answer["score"] for answer in answers], abs=1e-5)
        return
    for row, answer in zip(by_row(found, "indices"), answers, strict=True):
        if kind == "single":
            assert names[row] == answer["label"]
        elif kind == "multi":
            assert [name for name, chosen in zip(names, row, strict=True) if chosen] == answer["labels"]
        else:
            assert [names[tag] for tag in row[: len(answer["tags"])]] == answer["tags"]


@pytest.mark.parametrize("kind", ROWS)
def test_the_test_split_is_answered_with_its_rows(kind, encoders, tmp_path):
    module, data = make_module(kind, encoders("bert"), head=LinearHead(), learning_rate=1e-2), make_data(kind)
    trainer = make_trainer(tmp_path, max_epochs=2)
    trainer.fit(module, data)
    assert_answered(trainer.predict(module, data), module.artefact, kind)


def test_several_tasks_are_answered_one_by_one(encoders, tmp_path):
    module, data = MultiTaskClassifier(str(encoders("bert")), learning_rate=1e-2), make_tasks(*ROWS)
    trainer = make_trainer(tmp_path)
    trainer.fit(module, data)
    found = trainer.predict(module, data)
    artefacts = module.eval().artefacts().parts  # of which each is a part, and none has the encoder's mode
    assert list(artefacts) == list(ROWS)
    for kind, batches in zip(ROWS, found, strict=True):
        assert_answered(batches, artefacts[kind], kind)


def test_a_batch_without_rows_has_no_answers(encoders, tmp_path):
    module, data = make_module("single", encoders("bert")), make_data("single")
    trainer = make_trainer(tmp_path)
    trainer.validate(module, data, verbose=False)
    (empty,) = data.loading.evaluate(data.encoded("test"), Place(99, 98))
    found = module.predict_step(empty, 0)
    assert (len(found.example_ids), found.prediction.indices) == (0, None)
