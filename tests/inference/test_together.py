"""Several tasks answered at once: as each task's own export answers, with one pass of the encoder for what is alike."""

from __future__ import annotations

import pytest

from lightning_clf import load_classifier, load_predictor
from lightning_clf.inference import TaskClassifiers
from tests.inference.test_classifier import assert_alike
from tests.several_tasks import fit, intent_and_slots, make_tasks
from tests.tiny import CORPUS

PAIR = {"text": "a man is playing", "other": "nobody is sleeping"}


@pytest.fixture(scope="module")
def joint(encoders, tmp_path_factory):
    """The run of intent and slots of one sentence."""
    folder = tmp_path_factory.mktemp("joint")
    fit(encoders("bert"), folder, intent_and_slots(), max_epochs=2)
    return folder


@pytest.fixture(scope="module")
def every(encoders, tmp_path_factory):
    """The run of a task of every kind."""
    folder = tmp_path_factory.mktemp("every")
    fit(encoders("bert"), folder, make_tasks("single", "multi", "tags", "score"))
    return folder


def count_passes(model: TaskClassifiers) -> list[int]:
    """The sizes of the batches that the encoder computes from now on."""
    sizes: list[int] = []
    model.artefacts.trunk.encoder.register_forward_pre_hook(
        lambda module, args, inputs: sizes.append(len(args[0] if args else inputs["input_ids"])), with_kwargs=True
    )
    return sizes


@pytest.mark.parametrize("name", ["best", "best.ckpt"])
def test_all_at_once_answer_as_each_alone(joint, name):
    model = load_predictor(joint / name)
    given = [{"tokens": text.split()} for text in CORPUS]
    together = model.predict(given, batch_size=3)
    assert [list(answer) for answer in together] == [["slots", "intent"]] * len(CORPUS)
    for task in ("slots", "intent"):
        alone = load_classifier(joint / "best" / task).predict(given)
        assert_alike([answer[task] for answer in together], alone)


@pytest.mark.parametrize("given", [[{"tokens": text.split()} for text in CORPUS], CORPUS], ids=["words", "texts"])
def test_the_encoder_is_called_once_for_what_tasks_read_alike(joint, given):
    model = load_predictor(joint / "best")
    sizes = count_passes(model)
    model.predict(given, batch_size=3)
    assert sorted(sizes) == [2, 3, 3]
