"""`doctor`: what would spoil a fit is found before it, in the fit's own words where it would refuse."""

from __future__ import annotations

import json

import pytest

from lightning_clf import SingleLabelClassifier
from tests.cli.conftest import MULTI, SINGLE, TAGS, says, write_rows


class Frozen(SingleLabelClassifier):
    """A module of which nothing moves."""

    def take_shape(self, stage):
        super().take_shape(stage)
        self.requires_grad_(False)


@pytest.fixture
def doctor(command, fit_words):
    """Examine a fit of a kind; the exit code and the findings by what was looked at."""

    def run(kind, source, *more, **options):
        result = command("doctor", *fit_words(kind, source, **options)[1:], *more, "--json")
        said = json.loads(result.out)
        assert result.err == ""
        assert result.code == (2 if said["error"] else 0)
        return result.code, {finding["check"]: finding for finding in said["findings"]}

    return run


@pytest.fixture
def source(tmp_path):
    texts = {"train": "", "dev": "once ", "test": "at last "}
    return write_rows(
        tmp_path / "data",
        {split: [row | {"text": before + row["text"]} for row in SINGLE] for split, before in texts.items()},
    )


def test_a_sound_fit_has_no_error_and_leaves_nothing_behind(doctor, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, findings = doctor("single", source)
    assert code == 0
    assert {finding["level"] for finding in findings.values()} == {"ok"}
    assert list(findings) == [
        "labels", "labels of train", "labels of val", "labels of test", "imbalance", "truncation of train",
        "truncation of val", "truncation of test", "duplicates", "overlap of train and val",
        "overlap of train and test", "model", "memory", "time", "export",
    ]  # fmt: skip
    assert "SingleLabelClassifier with ArchitectureHead and CrossEntropyLoss; " in findings["model"]["found"]
    assert "an epoch of 2 batches" in findings["time"]["found"]
    assert findings["export"]["found"] == f"{tmp_path / 'run' / 'best'}, which plain transformers loads"
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_dev_split_made_of_few_rows_is_warned_of(doctor, tmp_path):
    _, findings = doctor("single", write_rows(tmp_path / "data", {"train": SINGLE}))
    assert findings["fit"]["level"] == "warning"
    assert (
        "rows are held out as dev split (data.seed=0), too few to tell which epoch is best" in findings["fit"]["found"]
    )


def test_findings_are_lines_with_a_sum(command, fit_words, source):
    code, out, err = command("doctor", *fit_words("single", source)[1:])
    *lines, empty, last = out.splitlines()
    assert (code, err, empty, last) == (0, "", "", "0 errors, 0 warnings")
    assert all(line.startswith("ok       ") for line in lines)


def test_what_fit_refuses_is_an_error_in_its_own_words(doctor, complaint, fit_words, source, tmp_path):
    several = write_rows(tmp_path / "several", MULTI)
    cases = [
        ("multi", several, {"model.loss": "CrossEntropyLoss"}, ("model.loss CrossEntropyLoss fits labels", "has kind")),
        ("single", several, {"data": "MultiLabelDataModule"}, ("needs labels of kind 'single'", "kind 'multi'")),
        ("single", several, {"data.label_column": "labels"}, ("has a list of labels", "use MultiLabelDataModule")),
        ("single", source, {"model.encoder": "nowhere"}, ("encoder 'nowhere'", "correct")),
        ("single", source, {"model.learning_rat": 1}, ("did you mean", "learning_rate")),
        ("single", source, {"trainer.accelerator": "nothing"}, ("accelerator",)),
    ]
    for kind, rows, options, said in cases:
        code, findings = doctor(kind, rows, *(f"--{key}={value}" for key, value in options.items()))
        finding = findings["fit"]
        assert (code, finding["level"]) == (2, "error")
        says(finding["found"], "refuses this: ", *said)
        words = fit_words(kind, rows, **options)
        assert finding["found"] == f"refuses this: {complaint(*words)}"


def test_data_are_examined_even_where_the_model_is_refused(doctor, source):
    code, findings = doctor("single", source, "--data.max_length=500")
    assert code == 2
    says(findings["fit"]["found"], "data.max_length 500 is beyond what encoder", "has positions for")
    assert findings["labels of train"]["level"] == "ok"
    assert "memory" not in findings


def test_a_label_that_train_lacks(doctor, source):
    code, findings = doctor("single", source, '--data.labels=["bad","good","other"]')
    assert code == 0
    assert findings["labels of train"]["level"] == "warning"
    says(findings["labels of train"]["found"], "lacks 1 of 3 labels: other")


def test_single_labels_that_are_several_in_one(doctor, tmp_path):
    rows = [{"text": f"text {n}", "label": ("joy", "fear", "joy|fear")[n % 3]} for n in range(30)]
    _, findings = doctor("single", write_rows(tmp_path / "data", {"train": rows[:15], "dev": rows[15:]}))
    assert findings["labels"]["level"] == "warning"


def test_a_window_that_cuts_forty_in_a_hundred(doctor, tmp_path):
    rows = [
        {"text": ("joy " * 40 if n % 5 < 2 else "joy ") + str(n), "label": ("good", "bad")[n % 2]} for n in range(100)
    ]
    code, findings = doctor("single", write_rows(tmp_path / "data", {"train": rows[:50], "dev": rows[50:]}))
    train = findings["truncation of train"]
    assert (code, train["level"], train["found"]) == (0, "warning", "max_length 32 cuts 20 of 50 (40.0%)")
    says(train["advice"], "data.max_length 48 would cut less than 1%")


def test_rows_of_test_that_are_in_train(doctor, source):
    lines = (source / "train.jsonl").read_text().splitlines()
    (source / "test.jsonl").write_text("\n".join([lines[3], *(source / "test.jsonl").read_text().splitlines()[:7]]))
    code, findings = doctor("single", source)
    overlap = findings["overlap of train and test"]
    assert (code, overlap["level"]) == (2, "error")
    says(overlap["found"], "1 of 8 texts of test (12.5%)", "test.jsonl line 1", "train.jsonl line 4")


def test_a_dev_split_held_out_of_train_is_examined_too(doctor, tmp_path):
    rows = [{"text": f"text {n % 10}", "label": ("good", "bad")[n % 2]} for n in range(40)]
    code, findings = doctor("single", write_rows(tmp_path / "data", {"train": rows}))
    assert code == 2
    says(findings["overlap of train and val"]["found"], "4 of 4 texts of val (100.0%) are in train too")
    says(findings["duplicates"]["found"], "26 of 36 rows of train repeat an earlier one")


def test_rows_without_labels_are_none_of_train(doctor, source, tmp_path):
    texts = [*(row["text"] for row in SINGLE), "of no label"]
    answers = [{"text": text, "probabilities": {SINGLE[0]["label"]: 1.0}} for text in texts]
    soft, more = (tmp_path / name for name in ("soft.jsonl", "more.jsonl"))
    soft.write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    more.write_text(json.dumps({"text": texts[-1]}) + "\n")
    asked = {"class_path": "Distillation", "init_args": {"teacher": str(soft)}}
    plain, taught = ({"model.distillation": json.dumps(asked)} | data for data in ({}, {"data.unlabelled": more}))
    found = [doctor("single", source, **options)[1] for options in (plain, taught)]
    assert list(found[0]) == list(found[1])
    timed = ("memory", "time", "export")
    assert [found[0][check] for check in found[0] if check not in timed] == [
        found[1][check] for check in found[1] if check not in timed
    ]


def test_a_module_of_which_nothing_moves(doctor, complaint, fit_words, source):
    code, findings = doctor("single", source, "--model=tests.cli.test_doctor.Frozen")
    assert code == 2
    says(findings["fit"]["found"], "nothing is trainable", "freeze less")
    words = fit_words("single", source)
    words[2] = "tests.cli.test_doctor.Frozen"
    assert complaint(*words) == findings["fit"]["found"].removeprefix("refuses this: ")


def test_a_batch_that_will_not_fit(doctor, source, monkeypatch):
    _, findings = doctor("single", source)
    needed = float(findings["memory"]["found"].split("about ")[1].split(" GB")[0])
    assert needed < 0.01
    monkeypatch.setattr("lightning_clf.examine.measure.available_memory", lambda device: 10_000)
    code, findings = doctor("single", source)
    assert (code, findings["memory"]["level"]) == (2, "error")
    says(findings["memory"]["found"], "the largest batch, 4 texts of", "0.00 GB that are free")
    assert "time" not in findings


def test_a_metric_the_task_does_not_have(doctor, complaint, fit_words, source):
    code, findings = doctor("single", source, "--model.monitor=val/entity_f1")
    assert code == 2
    refusal = complaint(*fit_words("single", source, model__monitor="val/entity_f1"))
    assert findings["fit"]["found"] == f"refuses this: {refusal}"


def test_tags_and_a_head_of_its_own(doctor, tmp_path):
    rows = [{**row, "tokens": [*row["tokens"], str(n)], "tags": [*row["tags"], "O"]} for n, row in enumerate(TAGS * 4)]
    code, findings = doctor("tags", write_rows(tmp_path / "data", {"train": rows, "dev": TAGS}), "--model.head=CRFHead")
    assert code == 0
    says(findings["labels"]["found"], "tags, 2 entity types: LOC, PER")
    says(findings["model"]["found"], "TokenClassifier with CRFHead and its own loss; ")
    says(findings["export"]["found"], "; without it transformers read the encoder alone, as CRFHead is ours")


def test_the_checkpoint_of_a_run_is_gone_on_from(doctor, command, run_copy):
    run = run_copy("single")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    result = command("doctor", "--ckpt_path", run / "last.ckpt", "--trainer.max_epochs=2", "--json")
    findings = {finding["check"]: finding for finding in json.loads(result.out)["findings"]}
    assert "fit" not in findings
    assert findings["memory"]["level"] == "ok"
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_no_export_is_said(doctor, source):
    _, findings = doctor("single", source, "--checkpoint.export=false")
    says(findings["export"]["found"], "none")
