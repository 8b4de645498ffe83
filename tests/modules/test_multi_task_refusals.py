"""What several tasks do not go with is refused in one line, before anything is trained."""

from __future__ import annotations

from functools import partial

import pytest

from lightning_clf import MultiTaskClassifier, MultiTaskDataModule, SingleLabelClassifier, load_classifier
from lightning_clf.data import OverSampling
from lightning_clf.heads import CRFHead
from lightning_clf.losses import CrossEntropyLoss
from tests.several_tasks import fit, intent_and_slots, make_tasks
from tests.training import ROWS, complaint, make_data, make_module, make_trainer


def refused(encoders, tmp_path, data=None, **model):
    data = data or make_tasks("single", "tags")
    return complaint(lambda: fit(encoders("bert"), tmp_path, data, model=model))


def test_what_does_not_fit_the_tasks_is_refused(encoders, tmp_path):
    said = refused(encoders, tmp_path, tasks={"slot": {}})
    assert said == "model.tasks has 'slot', which is none of data.tasks: single, tags"
    said = refused(encoders, tmp_path, loss_weights={"slot": 1.0})
    assert said == "model.loss_weights has 'slot', which is none of data.tasks: single, tags"
    said = refused(encoders, tmp_path, tasks={"single": {"head": CRFHead()}})
    assert said.startswith("model.tasks.single.head CRFHead fits labels of kind tags")
    said = refused(encoders, tmp_path, tasks={"single": {"train_continuations": True}})
    assert said.startswith("model.tasks.single.train_continuations is for tags")
    said = refused(encoders, tmp_path, tasks={"single": {"loss": CrossEntropyLoss(), "class_weights": "inverse"}})
    assert said.startswith("model.tasks.single.class_weights and model.tasks.single.loss are both given")
    said = refused(encoders, tmp_path, monitor="val/f1_macro")
    assert said.startswith("model.monitor 'val/f1_macro' is not a metric of this task")
    assert "val/single/f1_macro" in said
    said = refused(encoders, tmp_path, data=make_data("single"))
    assert said == "MultiTaskClassifier learns from a MultiTaskDataModule: take it for data"


def test_what_was_refused_once_is_refused_again(encoders, tmp_path):
    module = MultiTaskClassifier(str(encoders("bert")), tasks={"single": {"class_weights": {"nope": 2.0}}})
    said = {complaint(lambda: make_trainer(tmp_path).fit(module, make_tasks("tags", "single"))) for _ in range(2)}
    assert len(said) == 1
    assert "'nope'" in said.pop()


def test_losses_of_which_none_counts(encoders, tmp_path):
    module = MultiTaskClassifier(str(encoders("bert")), loss_weights={"single": 0, "tags": 0.0})
    for _ in range(2):
        said = complaint(lambda: make_trainer(tmp_path).fit(module, make_tasks("single", "tags")))
        assert said == "model.loss_weights are all 0, so that nothing would be learned: raise one"
    fit(encoders("bert"), tmp_path, make_tasks("single", "tags"), model={"loss_weights": {"single": 0}})


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"loss_weights": "uncertain"}, "model.loss_weights is 'uncertain': use uncertainty, or a mapping"),
        ({"loss_weights": {"a": -1}}, "model.loss_weights.a is -1"),
    ],
)
def test_what_no_tasks_could_fit_is_refused_at_once(model, said):
    assert complaint(lambda: MultiTaskClassifier("encoder", **model)).startswith(said)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MultiTaskDataModule({}), "data.tasks is empty"),
        (lambda: MultiTaskDataModule({"a/b": make_data("single")}), "data.tasks has 'a/b': name a task with letters"),
        (
            lambda: MultiTaskDataModule({name: make_data("single") for name in ("a", "Intent", "intent")}),
            "data.tasks has 'Intent' and 'intent', whose exports would be one folder",
        ),
        (
            lambda: MultiTaskDataModule({"a": make_tasks("single")}),
            "data.tasks.a is a MultiTaskDataModule, which is not",
        ),
        (lambda: make_tasks("single", options={"mixing": "even"}), "data.mixing is 'even': use size, sqrt_size"),
        (lambda: make_tasks("single", options={"mixing": {}}), "data.mixing has no weight for task 'single'"),
        (lambda: make_tasks("single", options={"mixing": {"single": 1, "b": 1}}), "data.mixing has a weight for 'b'"),
        (lambda: make_tasks("single", options={"mixing": {"single": 0}}), "data.mixing.single is 0"),
        (
            lambda: make_tasks("single", options={"mixing": {"single": 1}, "joint": True}),
            "data.joint makes batches of several tasks",
        ),
        (
            lambda: make_tasks("single", options={"joint": True}, sampling=OverSampling()),
            "data.tasks.single.sampling repeats rows of one task",
        ),
    ],
)
def test_data_that_do_not_go_together(make, said):
    assert complaint(make).startswith(said)


def test_a_checkpoint_of_several_tasks_is_no_model_to_predict_with(encoders, tmp_path):
    fit(encoders("bert"), tmp_path, make_tasks("single", "tags"))
    said = complaint(lambda: load_classifier(tmp_path / "best.ckpt"))
    assert said == (
        f"checkpoint {tmp_path / 'best.ckpt'} is of several tasks (single, tags): give the export of one, such as "
        f"{tmp_path / 'best' / 'single'}"
    )
    said = complaint(lambda: SingleLabelClassifier.load_from_checkpoint(tmp_path / "best.ckpt"))
    assert "is of a MultiTaskClassifier, not of a SingleLabelClassifier" in said


def test_a_run_goes_on_with_its_own_tasks_alone(encoders, tmp_path):
    fit(encoders("bert"), tmp_path, make_tasks("single", "tags"))
    last = tmp_path / "last.ckpt"
    said = complaint(lambda: fit(encoders("bert"), tmp_path, make_tasks("tags", "single"), last, max_epochs=2))
    assert said.startswith("the checkpoint is of the tasks single, tags, the data are of tags, single")
    single = make_module("single", encoders("bert"))
    trainer = make_trainer(tmp_path, max_epochs=2)
    said = complaint(lambda: trainer.fit(single, make_data("single"), ckpt_path=last))
    assert "MultiTaskClassifier" in said


def test_a_checkpoint_is_of_the_tasks_of_the_data_alone(encoders, tmp_path):
    fit(encoders("bert"), tmp_path, make_tasks("single", "tags"), model={"loss_weights": {"tags": 2.0}})
    for others in (("single", "multi"), ("single", "tags", "multi"), ("single",)):
        module, data = MultiTaskClassifier.load_from_checkpoint(tmp_path / "best.ckpt"), make_tasks(*others)
        said = complaint(partial(make_trainer(tmp_path).validate, module, data))
        assert said.startswith(f"data.tasks are {', '.join(others)}, but the model was trained on single, tags")
    module = MultiTaskClassifier.load_from_checkpoint(tmp_path / "best.ckpt", loss_weights={"slot": 2.0})
    said = complaint(lambda: make_trainer(tmp_path).fit(module, make_tasks("single", "tags")))
    assert said == "model.loss_weights has 'slot', which is none of data.tasks: single, tags"


def test_a_message_says_of_which_task_it_is(encoders, tmp_path):
    too_long = MultiTaskDataModule({"a": make_data("single"), "b": make_data("tags", max_length=500)})
    assert refused(encoders, tmp_path, data=too_long).startswith("task b: data.max_length 500 is beyond what encoder")
    rows = {"train": ROWS["single"], "val": ROWS["single"]}
    untested = MultiTaskDataModule({"a": make_data("tags"), "b": make_data("single", source=rows)})
    _, module, _ = fit(encoders("bert"), tmp_path, untested)
    said = complaint(lambda: make_trainer(tmp_path).test(module, untested))
    assert said == "task b: data.source has no test split (train, val only): add data.source.test"


def test_a_joint_task_of_which_no_row_has_a_label(encoders, tmp_path):
    data = intent_and_slots(first=0)
    said = refused(encoders, tmp_path, data=data)
    assert said.startswith("task intent: no row of train has a label for the task: name the column")


def test_a_module_of_one_task_is_not_for_the_data_of_several(encoders, tmp_path):
    single = make_module("single", encoders("bert"))
    said = complaint(lambda: make_trainer(tmp_path).fit(single, make_tasks("single")))
    assert said.startswith("SingleLabelClassifier learns one task, and MultiTaskDataModule is the data of several")


def test_an_epoch_goes_on_with_the_sampling_that_drew_it(encoders, tmp_path):
    def data(kind=None, **sampling):
        own = {"a": make_data("single", sampling=kind and kind(**sampling)), "b": make_data("tags")}
        return MultiTaskDataModule(own)

    fit(encoders("bert"), tmp_path, data(OverSampling), save=True)
    amid = tmp_path / "step1.ckpt"
    said = complaint(lambda: fit(encoders("bert"), tmp_path / "other", data(), amid))
    assert said.startswith("task a: data.sampling is None, but the checkpoint was written amid an epoch drawn by")
    fit(encoders("bert"), tmp_path / "same", data(OverSampling), amid)
    fit(encoders("bert"), tmp_path / "later", data(), tmp_path / "last.ckpt", max_epochs=2)
