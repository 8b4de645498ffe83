"""Where runs write, and how configurations are found and add up."""

from __future__ import annotations

import csv
import gc
import json

import pytest
import yaml
from lightning.pytorch.loggers.logger import DummyLogger

from lightning_clf.cli.configs import find_config, shipped_configs
from lightning_clf.cli.run_folder import discard_unused, release, run_folder
from lightning_clf.modules import ClassifierModule
from tests.cli.conftest import SINGLE, says, write_rows


@pytest.fixture
def source(tmp_path):
    return write_rows(tmp_path / "data", SINGLE)


def test_second_fit_writes_beside_the_first(command, fit_words, source, tmp_path):
    words = fit_words("single", source)
    assert command(*words).code == 0
    first = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    names = {path.name for path in first}
    assert {"best.ckpt", "last.ckpt", "config.yaml", "metrics.csv", "lightning_clf.json", "model.safetensors"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert command(*words).code == 0
    assert {path: path.read_bytes() for path in first} == first
    assert {path.name for path in tmp_path.iterdir()} == {"data", "run", "run-2"}
    assert (tmp_path / "run-2" / "best.ckpt").is_file()


def test_second_fit_of_a_process_finds_nothing_left_of_the_first(command, fit_words, source, monkeypatch):
    alive = []
    monkeypatch.setattr(
        gc, "freeze", lambda: alive.append(sum(isinstance(one, ClassifierModule) for one in gc.get_objects()))
    )
    gc.disable()  # so that it is not by chance
    try:
        for _ in range(2):
            assert command(*fit_words("single", source)).code == 0
    finally:
        gc.enable()
    assert alive[0] == alive[1]


def test_name_that_is_taken_counts_up(tmp_path):
    for taken in ("run", "run-2"):
        (tmp_path / taken).mkdir()
        (tmp_path / taken / "file").touch()
    (tmp_path / "run-3").mkdir()
    assert run_folder(str(tmp_path / "run"), None) == tmp_path / "run-3"


def test_fit_that_is_refused_leaves_its_name_free(command, complaint, fit_words, source, tmp_path):
    bad = write_rows(tmp_path / "bad", [*SINGLE, {"text": "a"}])
    complaint(*fit_words("single", bad))
    assert not (tmp_path / "run").exists()
    assert command(*fit_words("single", source, trainer__logger="false")).code == 0
    assert not (tmp_path / "run-2").exists()


def test_refused_fit_leaves_an_empty_folder_that_was_there(complaint, fit_words, tmp_path):
    (tmp_path / "run").mkdir()
    bad = write_rows(tmp_path / "bad", [*SINGLE, {"text": "a"}])
    complaint(*fit_words("single", bad))
    assert list((tmp_path / "run").iterdir()) == []


def test_refused_fit_takes_away_nothing_it_did_not_make(complaint, fit_words, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    bad = write_rows(tmp_path / "bad", [*SINGLE, {"text": "a"}])
    complaint(*fit_words("single", bad))
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_configs_add_up_and_the_command_line_has_the_last_word(command, fit_words, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("trainer:\n  max_epochs: 5\n  log_every_n_steps: 1\nseed_everything: 7\n")
    (tmp_path / "b.yaml").write_text("trainer:\n  max_epochs: 4\ndata:\n  init_args:\n    batch_size: 2\n")
    words = [word for word in fit_words("single", source) if not word.startswith(("--data.batch", "--trainer.log"))]
    assert command("fit", "--config", "a.yaml", *words[1:5], "--config=b.yaml", *words[5:]).code == 0
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["seed_everything"] == 7
    assert config["trainer"]["log_every_n_steps"] == 1
    assert config["data"]["init_args"]["batch_size"] == 2
    assert config["trainer"]["max_epochs"] == 1


def test_config_is_found_in_the_working_folder_before_the_shipped_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("ner.yaml") == shipped_configs() / "ner.yaml"
    assert find_config("trainer/cpu.yaml") == shipped_configs() / "trainer" / "cpu.yaml"
    (tmp_path / "ner.yaml").touch()
    assert find_config("ner.yaml").absolute() == tmp_path / "ner.yaml"


def test_runs_that_start_together_do_not_share_a_folder(tmp_path):
    first, second = (run_folder(str(tmp_path / "run"), None) for _ in range(2))
    assert (first, second) == (tmp_path / "run", tmp_path / "run-2")
    (first / ".running").write_text("1")  # another process's
    (first / "metrics.csv").touch()
    discard_unused(first)
    release(first)
    assert (first / "metrics.csv").is_file()
    assert (first / ".running").is_file()
    discard_unused(second)
    assert not second.exists()


class Elsewhere(DummyLogger):
    """A logger that calls the working folder its own, as that of Weights & Biases does."""

    save_dir = "."


def test_a_loggers_folder_is_not_the_runs(command, fit_words, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = fit_words("single", source, trainer__logger="tests.cli.test_runs.Elsewhere")
    assert command(*words).code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"data", "run"}
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"best", "best.ckpt", "last.ckpt", "config.yaml"}
    assert command("test", "--ckpt_path", "run/best.ckpt").code == 0
    assert (tmp_path / "run" / "test_metrics.json").is_file()


def test_scores_on_other_data_are_written_beside_the_first(command, run_copy, tmp_path):
    run = run_copy("single")
    assert command("test", "--ckpt_path", run / "best.ckpt").code == 0
    first = (run / "test_metrics.json").read_bytes()
    assert command("test", "--ckpt_path", run / "best.ckpt").code == 0
    assert not (run / "test-2_metrics.json").exists()
    others = write_rows(tmp_path / "others", SINGLE[:5])
    result = command("test", "--ckpt_path", run / "best.ckpt", "--data=SequenceDataModule", f"--data.source={others}")
    assert (result.code, (run / "test_metrics.json").read_bytes()) == (0, first)
    assert "test-2_*.csv" in result.out
    assert (run / "test-2_metrics.json").read_bytes() != first
    assert sum(int(row["support"]) for row in json.loads((run / "test-2_classes.json").read_text())) == 5


def test_the_window_of_a_trained_model_is_kept(command, run_copy, tmp_path, caplog):
    run = run_copy("single")
    long = write_rows(tmp_path / "long", [{"text": "joy " * 60, "label": name} for name in ("good", "bad")])
    result = command("test", "--ckpt_path", run / "best.ckpt", "--data=SequenceDataModule", f"--data.source={long}")
    assert result.code == 0
    assert "max_length=32 cuts texts: " in caplog.text


def test_a_fit_without_checkpoints_or_validation_says_so(command, fit_words, source, tmp_path):
    result = command(*fit_words("single", source, trainer__limit_val_batches=0))
    assert result.code == 0
    assert "there is no best.ckpt and no export" in result.err
    assert not (tmp_path / "run" / "best").exists()
    result = command(*fit_words("single", source, trainer__enable_checkpointing="false"))
    assert result.code == 0
    assert not list((tmp_path / "run-2").glob("*.ckpt"))


def test_steps_that_reach_no_validation_are_told_once(command, fit_words, source):
    result = command(*fit_words("single", source, trainer__max_steps=1))
    assert result.code == 0
    assert "let trainer.max_steps, limit_val_batches and check_val_every_n_epoch reach a validation" in result.err
    assert "could not find the monitored key" not in result.err


def test_a_fit_stopped_before_its_first_step_leaves_no_folder(command, fit_words, tmp_path, monkeypatch, caplog):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("lightning_clf.modules.ClassifierModule.on_train_start", stop)
    words = fit_words("single", write_rows(tmp_path / "data", SINGLE))
    with caplog.at_level("INFO"):
        assert command(*words).code == 130
    assert "stopped by Ctrl-C; there is nothing to go on from" in caplog.messages
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_fit_stopped_between_its_two_checkpoints_goes_on_from_the_first(
    command, fit_words, source, tmp_path, monkeypatch, caplog
):
    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, caplog.at_level("INFO"):
        patched.setattr("lightning_clf.callbacks.BestCheckpoint._export", stop)
        assert command(*fit_words("single", source)).code == 130
    best = tmp_path / "run" / "best.ckpt"
    assert f"stopped by Ctrl-C; to go on: lightning-clf fit --ckpt_path {best}" in caplog.messages
    assert not (tmp_path / "run" / "last.ckpt").exists()
    assert command("fit", "--ckpt_path", best, "--trainer.max_epochs", 2).code == 0


def test_files_of_splits_are_written_as_a_mapping(command, fit_words, source, tmp_path):
    files = {"train": str(source / "train.jsonl"), "dev": str(source / "dev.jsonl")}
    assert command(*fit_words("single", json.dumps(files), trainer__limit_train_batches=1)).code == 0
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text(encoding="utf-8"))
    assert saved["data"]["init_args"]["source"] == files
    assert command(*fit_words("single", source, trainer__limit_train_batches=1)).code == 0
    saved = yaml.safe_load((tmp_path / "run-2" / "config.yaml").read_text(encoding="utf-8"))
    assert saved["data"]["init_args"]["source"] == str(source)


@pytest.mark.parametrize(("given", "has_bar", "lines"), [("null", False, 2), ("true", True, 0), ("false", False, 0)])
def test_a_bar_is_for_terminals_unless_it_is_asked_for(
    given, has_bar, lines, command, fit_words, source, tmp_path, caplog
):
    words = fit_words("single", source, trainer__enable_progress_bar=given, trainer__max_epochs=2)
    with caplog.at_level("INFO"):
        code, out, err = command(*words)
    assert code == 0
    assert ("Epoch " in out + err) is has_bar
    said = [message for message in caplog.messages if message.startswith("epoch ")]
    with (tmp_path / "run" / "metrics.csv").open(encoding="utf-8") as file:
        logged = [row for row in csv.DictReader(file) if row["val/loss"]]
    shown = [
        f"epoch {epoch}, step {int(row['step']) + 1}: "
        f"val/loss {float(row['val/loss']):.4f}, val/f1_macro {float(row['val/f1_macro']):.4f}"
        for epoch, row in enumerate(logged)
    ]
    assert said == shown[:lines]
    assert len(shown) == 2


def test_logger_that_cannot_be_used_is_named(complaint, fit_words, source, tmp_path):
    words = fit_words("single", source, trainer__logger="MLFlowLogger", trainer__logger__tracking_uri="nowhere://x")
    says(complaint(*words), "trainer.logger cannot be used", "nowhere", "correct its keys")
    assert not (tmp_path / "run").exists()
