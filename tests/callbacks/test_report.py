"""The report's files hold the numbers of independent references, and tables that add up."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from seqeval.metrics.v1 import precision_recall_fscore_support as entity_scores
from seqeval.scheme import IOB2
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from lightning_clf.callbacks import ClassReport
from lightning_clf.heads import Head
from lightning_clf.inference import Classifier
from tests.training import ROWS, make_data, make_module, make_trainer

WORDS = [{"tokens": row["tokens"], "tags": [word[0].upper() for word in row["tokens"]]} for row in ROWS["tags"]]


class Told(Head):
    """Scores that follow from an example's place, a word's and a class's."""

    def build(self, hidden_size, labels):
        self.classes = torch.arange(len(labels))

    def forward(self, hidden, batch):
        places = batch.example_ids[:, None] * 5
        if self.labels.kind == "score":
            return places[:, 0] % 7 * 0.7
        if self.labels.kind == "tags":
            places = (places + torch.arange(batch.first_subword.shape[1]) * 2)[..., None]
        return (places + self.classes * 3) % 7 - 3.0


@pytest.fixture
def report(encoders, tmp_path, capsys):
    """Run `test` (or `validate`) of a module that answers variously, and read what was written."""

    def run(kind, rows=None, command="test"):
        rows = rows or ROWS[kind]
        module = make_module(kind, encoders("electra"), head=Told())
        trainer = make_trainer(tmp_path, callbacks=[ClassReport()])
        capsys.readouterr()
        getattr(trainer, command)(module, make_data(kind, rows), verbose=False)
        printed = capsys.readouterr().out
        answers = Classifier(module.artefact).predict(rows)
        files = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir() if path.is_file()}
        return module.labels, answers, files, printed

    return run


def classes(files, stage="test"):
    """The table of classes, which is the same in both files."""
    rows = list(csv.DictReader(files[f"{stage}_classes.csv"].splitlines()))
    table = [{key: value if key == "label" else float(value) for key, value in row.items()} for row in rows]
    assert table == json.loads(files[f"{stage}_classes.json"])
    return table


def confusion(files, stage="test"):
    """The confusion table, which is the same in both files: its columns, its rows' names and its numbers."""
    header, *rows = csv.reader(files[f"{stage}_confusion.csv"].splitlines())
    stored = json.loads(files[f"{stage}_confusion.json"])
    assert stored == {"columns": header[1:], "rows": {row[0]: [int(cell) for cell in row[1:]] for row in rows}}
    return header[1:], list(stored["rows"]), list(stored["rows"].values())


def assert_equal_columns(table, reference):
    for key, values in zip(("precision", "recall", "f1", "support"), reference, strict=True):
        assert [row[key] for row in table] == pytest.approx(list(values), abs=1e-12)


@pytest.mark.parametrize("kind", ["single", "none"])
def test_one_label_each(kind, report):
    labels, answers, files, _ = report("single") if kind == "single" else report("tags", WORDS)
    if kind == "single":
        gold, found = [row["label"] for row in ROWS["single"]], [answer["label"] for answer in answers]
    else:
        gold = [tag for row in WORDS for tag in row["tags"]]
        found = [tag for answer in answers for tag in answer["tags"]]
    assert len(set(found)) > 1
    table = classes(files)
    assert [row["label"] for row in table] == list(labels.names)
    assert_equal_columns(table, precision_recall_fscore_support(gold, found, labels=labels.names, zero_division=0))
    columns, names, counts = confusion(files)
    assert columns == names == list(labels.names)
    assert counts == confusion_matrix(gold, found, labels=labels.names).tolist()
    assert [sum(row) for row in counts] == [row["support"] for row in table]
    right = sum(one == other for one, other in zip(gold, found, strict=True))
    assert json.loads(files["test_metrics.json"])["test/accuracy"] == right / len(gold)  # not rounded to float32


def test_any_number_of_labels(report):
    labels, answers, files, _ = report("multi")
    gold, found = (
        [[int(name in labelled["labels"]) for name in labels.names] for labelled in side]
        for side in (ROWS["multi"], answers)
    )
    table = classes(files)
    assert_equal_columns(table, precision_recall_fscore_support(gold, found, average=None, zero_division=0))
    columns, names, counts = confusion(files)
    assert columns == ["true_negative", "false_positive", "false_negative", "true_positive"]
    assert names == list(labels.names)
    for row, (negative, false, missed, hit) in zip(table, counts, strict=True):
        assert (missed + hit, negative + false + missed + hit) == (row["support"], len(gold))


def test_entities(report):
    _, answers, files, _ = report("tags")
    gold, found = [row["tags"] for row in ROWS["tags"]], [answer["tags"] for answer in answers]
    table = classes(files)
    assert [row["label"] for row in table] == ["LOC", "PER"]
    assert_equal_columns(table, entity_scores(gold, found, scheme=IOB2, average=None, zero_division=0))
    columns, names, counts = confusion(files)
    assert columns == names == ["LOC", "PER", "none"]
    assert [sum(row) for row in counts[:2]] == [row["support"] for row in table]
    assert sum(map(sum, counts)) > sum(row["support"] for row in table)  # some were made up


def test_scores_have_no_classes(report):
    _, answers, files, printed = report("score")
    assert set(files) == {"test_metrics.json", "test_weights.json"}
    numbers = json.loads(files["test_metrics.json"])
    errors = [(answer["score"] - row["score"]) ** 2 for answer, row in zip(answers, ROWS["score"], strict=True)]
    assert numbers["test/mse"] == pytest.approx(sum(errors) / len(errors), abs=1e-4)
    assert "test/mse" in printed
    assert "precision" not in printed


def test_what_is_undefined_is_null(report):
    files = report("score", [{**row, "score": 2.0} for row in ROWS["score"]])[2]
    numbers = json.loads(files["test_metrics.json"], parse_constant=pytest.fail)
    assert numbers["test/spearman"] is None
    assert numbers["test/mse"] > 0


def test_every_number_is_written_and_the_main_ones_are_printed(report):
    _, _, files, printed = report("single")
    numbers = json.loads(files["test_metrics.json"])
    assert {"test/loss", "test/accuracy", "test/f1_macro", "test/f1/good", "test/precision/bad"} <= set(numbers)
    lines = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.strip()}
    assert lines["test/accuracy"] == [f"{numbers['test/accuracy']:.4f}"]
    assert lines["good"][-1] == "2"
    assert "test/f1/good" not in lines


def test_validate_reports_the_dev_split(report):
    files = report("single", command="validate")[2]
    assert set(files) == {
        f"val_{name}" for name in ("metrics.json", "classes.csv", "classes.json", "confusion.csv", "confusion.json")
    }
    assert sum(row["support"] for row in classes(files, "val")) == 8


def test_a_fit_is_silent(encoders, tmp_path, capsys):
    make_trainer(tmp_path, callbacks=[ClassReport()]).fit(make_module("single", encoders("bert")), make_data("single"))
    assert "precision" not in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
