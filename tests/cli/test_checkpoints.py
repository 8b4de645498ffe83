"""Commands on a checkpoint: model and labels come from it alone, and what contradicts it is an error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from lightning.pytorch import Trainer

from lightning_clf import SequenceDataModule, SingleLabelClassifier
from lightning_clf.callbacks import BestCheckpoint
from lightning_clf.checkpoint import read_checkpoint
from lightning_clf.heads import LinearHead
from tests.cli.conftest import SINGLE, says, write_rows


def metrics(folder: Path, stage: str = "test") -> dict[str, float]:
    return json.loads((folder / f"{stage}_metrics.json").read_text())


@pytest.fixture(scope="session")
def from_python(tmp_path_factory, encoders):
    """The folder of a run made in Python, without the command, from an encoder since deleted."""
    root = tmp_path_factory.mktemp("python")
    encoder = shutil.copytree(encoders("bert"), root / "encoder")
    data = SequenceDataModule(str(write_rows(root / "data", SINGLE)), max_length=32, batch_size=4)
    model = SingleLabelClassifier(str(encoder), head=LinearHead("mean"), learning_rate=1e-3)
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = Trainer(default_root_dir=root / "run", max_epochs=1, callbacks=[BestCheckpoint()], **options)
    trainer.fit(model, data)
    shutil.rmtree(encoder)
    return root / "run"


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_checkpoint_alone_brings_its_run_s_configuration(command, run_copy, name):
    run = run_copy("single")
    assert command("test", "--ckpt_path", run / name).code == 0
    assert command("validate", "--ckpt_path", run / name).code == 0
    # all three splits are the same rows
    assert {key.replace("val/", "test/"): value for key, value in metrics(run, "val").items()} == metrics(run)
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["init_args"]["batch_size"] == 4


def test_configuration_behind_a_checkpoint_does_not_take_its_place(command, run_copy, tmp_path):
    run = run_copy("single")
    written = yaml.safe_load((run / "config.yaml").read_text())
    assert "ckpt_path" not in written
    steps = read_checkpoint(str(run / "last.ckpt"))["global_step"]
    go_on = ["fit", "--ckpt_path", run / "last.ckpt", "--config", run / "config.yaml", "--trainer.max_epochs", 2]
    assert command(*go_on).code == 0
    assert read_checkpoint(str(run / "last.ckpt"))["global_step"] == 2 * steps
    # as --print_config writes it
    (tmp_path / "open.yaml").write_text(yaml.safe_dump({**written, "ckpt_path": None}))
    assert command("test", "--ckpt_path", run / "best.ckpt", "--config", tmp_path / "open.yaml").code == 0
    assert not (tmp_path / "single_run-2").exists()


def test_one_command_begins_and_goes_on(command, fit_words, tmp_path, caplog):
    source, run = write_rows(tmp_path / "data", SINGLE), tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("of an attempt that was killed before its first checkpoint")
    for epochs in (1, 2):
        words = [*fit_words("single", source, trainer__max_epochs=epochs), "--ckpt_path", "last"]
        assert command(*words).code == 0
    assert (run / "config.part1.yaml").read_text().startswith("of an attempt")
    assert read_checkpoint(str(run / "last.ckpt"))["global_step"] == 4
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert command(*words).code == 0
    assert "nothing is left to do: checkpoint" in caplog.text
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"data", "run"}


def test_labels_come_from_the_checkpoint_where_the_data_have_none_to_tell(command, run_copy, tmp_path):
    run = run_copy("single")
    unlike = write_rows(tmp_path / "unlike", {"test": [row for row in SINGLE if row["label"] == "bad"]})
    assert command("test", "--ckpt_path", run / "best.ckpt", "--data.source", unlike).code == 0
    rows = json.loads((run / "test_classes.json").read_text())
    assert [(row["label"], row["support"]) for row in rows] == [("bad", 4), ("good", 0)]


def test_checkpoint_from_python_is_tested_without_model(command, from_python, tmp_path):
    run = shutil.copytree(from_python, tmp_path / "run")
    data = ["--data", "SequenceDataModule", "--data.source", from_python.parent / "data", "--data.max_length", 32]
    assert command("test", "--ckpt_path", run / "best.ckpt", *data).code == 0
    assert metrics(run)["test/accuracy"] in [count / len(SINGLE) for count in range(len(SINGLE) + 1)]


def test_key_that_agrees_with_a_checkpoint_from_python_is_accepted(command, from_python, tmp_path):
    run = shutil.copytree(from_python, tmp_path / "run")
    data = ["--data", "SequenceDataModule", "--data.source", from_python.parent / "data", "--data.max_length", 32]
    head = ["--model.head", "LinearHead", "--model.head.pooling", "mean"]
    model = ["--model", "SingleLabelClassifier", "--model.encoder", from_python.parent / "encoder", *head]
    assert command("test", "--ckpt_path", run / "best.ckpt", *data, *model).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model.learning_rate", "2e-3"], "model.learning_rate is 0.002, but checkpoint"),
        (["--model.learning_rate", "5e-5"], "model.learning_rate is 5e-05, but checkpoint"),  # the default
        (["--model.encoder", "another"], "model.encoder is 'another', but checkpoint"),
        (
            ["--model.head", "LinearHead"],
            "model.head is LinearHead(pooling=None, dropout=0.1, windows='logits'), but checkpoint",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("name", ["test", "fit"])
def test_key_that_contradicts_the_checkpoint_is_refused(complaint, run_copy, name, words, said):
    run = run_copy("single")
    before = sorted(path.name for path in run.iterdir())
    message = complaint(name, "--ckpt_path", run / "best.ckpt", *words)
    says(message, said, f"{run / 'best.ckpt'} was trained with", "leave the key out")
    assert sorted(path.name for path in run.iterdir()) == before


def test_labels_that_contradict_the_checkpoint_are_refused(complaint, run_copy):
    run = run_copy("single")
    message = complaint("test", "--ckpt_path", run / "best.ckpt", "--data.labels", "[good, bad]")
    says(message, "data.labels has the model's labels in another order", "(bad, good)")


@pytest.mark.parametrize("kind", ["single", "tags"])
def test_checkpoint_and_export_answer_alike_without_the_encoder_s_folder(command, trained, tmp_path, kind):
    run = trained(kind)
    answers = []
    for model in ("best.ckpt", "best"):
        output = tmp_path / f"{model}.jsonl"
        rows = run.parent / "data" / "test.jsonl"
        assert command("predict", "--model", run / model, "--input", rows, "--output", output).code == 0
        answers.append([json.loads(line) for line in output.read_text().splitlines()])
    assert answers[0] == answers[1]
    assert len(answers[0]) == {"single": 8, "tags": 2}[kind]


def test_fit_goes_on_from_a_checkpoint_in_its_folder(command, run_copy, tmp_path):
    run = run_copy("single")
    first = (run / "metrics.csv").read_text()
    assert command("fit", "--ckpt_path", run / "last.ckpt", "--trainer.max_epochs", 3).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [run.name]
    assert (run / "metrics.part1.csv").read_text() == first
    epochs = [line.split(",")[0] for line in (run / "metrics.csv").read_text().splitlines()[1:]]
    assert set(epochs) == {"1", "2"}
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 3
    assert "ckpt_path" not in config
    assert command("fit", "--ckpt_path", run / "last.ckpt", "--trainer.max_epochs", 4).code == 0
    assert (run / "metrics.part1.csv").read_text() == first
    assert {line.split(",")[0] for line in (run / "metrics.part2.csv").read_text().splitlines()[1:]} == {"1", "2"}


def test_testing_leaves_the_run_as_it_was(command, run_copy, tmp_path):
    run = run_copy("single")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    other = write_rows(tmp_path / "other", SINGLE[:4])
    assert command("test", "--ckpt_path", run / "best.ckpt", "--data.source", other).code == 0
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {
        "test_metrics.json",
        "test_weights.json",
        "test_classes.csv",
        "test_classes.json",
        "test_confusion.csv",
        "test_confusion.json",
    }


def test_nothing_left_to_train_is_refused_before_anything_is_touched(complaint, run_copy):
    run = run_copy("single")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    message = complaint("fit", "--ckpt_path", run / "last.ckpt")
    says(message, "last.ckpt has 1 epochs behind it", "trainer.max_epochs is 1", "set it above 1")
    # one checkpoint may be told by either
    message = complaint("fit", "--ckpt_path", run / "last.ckpt", "--trainer.max_epochs=-1", "--trainer.max_steps", 2)
    says(message, "last.ckpt has 2 steps behind it", "trainer.max_steps is 2", "set it above 2")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data.max_length", 100_000], ["data.max_length"]),
        (["--data.source", "fewer"], ["fewer/train.jsonl: the train split has 4 rows, not the 8", "last.ckpt is of"]),
        (["--checkpoint.mode", "min"], ["checkpoint.mode"]),
    ],
)
def test_a_refused_resume_leaves_the_run_as_it_was(complaint, run_copy, tmp_path, monkeypatch, words, said):
    run = run_copy("single")
    write_rows(tmp_path / "fewer", {"train": SINGLE[:4], "dev": SINGLE})
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    says(complaint("fit", "--ckpt_path", run / "last.ckpt", "--trainer.max_epochs", 2, *words), *said)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_the_configuration_of_an_earlier_part_is_kept(command, run_copy):
    run = run_copy("single")
    before = (run / "config.yaml").read_text()
    assert command("fit", "--ckpt_path", run / "last.ckpt", "--trainer.max_epochs", 2).code == 0
    assert (run / "config.part1.yaml").read_text() == before
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["max_epochs"] == 2
