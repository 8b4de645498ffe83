"""`calibrate`: a table, a folder that is whole or not there, and errors that name file, line, label and option."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import SINGLE, TAGS, says, write_rows


@pytest.fixture
def calibrated(trained, tmp_path):
    """The words that calibrate a kind of model on its own rows, to `new`."""

    def words(kind: str, rows: str | None = None, name: str = "rows.jsonl") -> list:
        source = trained(kind).parent / "data" / "dev.jsonl"
        if rows is not None:
            source = tmp_path / name
            source.write_text(rows)
        return ["calibrate", "--model", trained(kind) / "best", "--input", source, "--output", tmp_path / "new"]

    return words


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_table_and_a_model(command, calibrated, tmp_path):
    code, out, err = command(*calibrated("single"), "--method", "vector", "--coverage", 0.5)
    assert (code, err) == (0, "")
    table = [line.rsplit(maxsplit=2) for line in out.splitlines()[1:-2]]
    assert [name for name, *_ in table] == [
        "nll", "brier", "ece", "aurc", "abstention coverage>=0.5: risk", "abstention coverage>=0.5: coverage",
    ]  # fmt: skip
    assert float(table[0][2]) <= float(table[0][1])
    assert out.splitlines()[0].split() == ["8", "rows", "it", "was", "chosen", "on", "before", "after"]
    assert out.splitlines()[-2:] == [
        "a factor and a summand a label, in the weights of the last layer", f"written: {tmp_path / 'new'}",
    ]  # fmt: skip
    _, answers, _ = command("predict", "--model", tmp_path / "new", "--input", calibrated("single")[4])
    assert sum(not json.loads(line)["abstained"] for line in answers.splitlines()) >= 4
    shown = command("predict", "--pretty", "--model", tmp_path / "new", "--input", calibrated("single")[4]).out
    assert shown.count(" abstained\n") == answers.count('"abstained": true') > 0
    assert (
        "abstained"
        not in command("predict", "--model", calibrated("single")[2], "--input", calibrated("single")[4]).out
    )


def test_a_checkpoint_is_calibrated_as_its_export_is(command, calibrated, trained):
    words = calibrated("tags")
    of_export = command(*words).out
    words[2] = trained("tags") / "best.ckpt"
    assert command(*words).out == of_export != ""


def test_words_in_columns_are_rows(command, calibrated, tmp_path):
    expected = command(*calibrated("tags")).out
    conll = "\n\n".join("\n".join(map(" ".join, zip(row["tokens"], row["tags"], strict=True))) for row in TAGS)
    assert command(*calibrated("tags", conll, "rows.conll")).out == expected
    words = calibrated("tags", "", "rows.parquet")
    pq.write_table(pa.table({key: [row[key] for row in TAGS] for key in ("tokens", "tags")}), tmp_path / "rows.parquet")
    assert command(*words).out == expected


def test_columns_by_other_names(command, complaint, calibrated):
    expected = command(*calibrated("single")).out
    renamed = calibrated("single", lines({"t": row["text"], "l": row["label"], "text": "x"} for row in SINGLE))
    assert command(*renamed, "--text-column", "t", "--label-column", "l").out == expected
    says(complaint(*renamed), "rows.jsonl line 1 has no column 'label'", "give --label-column")
    says(complaint(*renamed, "--text-column", "u"), "line 1 has no column 'u'", "give --text-column")


def test_columns_of_training_are_known(command, complaint, fit_words, tmp_path):
    renamed = [{"t": row["text"], "l": row["label"]} for row in SINGLE]
    source = write_rows(tmp_path / "data", renamed)
    assert command(*fit_words("single", source, data__text_column="t", data__label_column="l")).code == 0
    words = ["calibrate", "--model", tmp_path / "run" / "best", "--input"]
    assert command(*words, source / "dev.jsonl", "--output", tmp_path / "first").code == 0
    usual = tmp_path / "usual.jsonl"  # a column called as columns of labels are will do as well
    usual.write_text(lines({"t": row["text"], "label": row["label"]} for row in SINGLE), encoding="utf-8")
    assert command(*words, usual, "--output", tmp_path / "second").code == 0
    usual.write_text(lines({"t": row["text"]} for row in SINGLE), encoding="utf-8")
    says(complaint(*words, usual, "--output", tmp_path / "third"), "usual.jsonl line 1 has no column 'l'")


@pytest.mark.parametrize(("rows", "name", "said"), [
    ([{"text": "a", "label": "good"}, {"text": "a", "label": "odd"}], "rows.jsonl",
     ("label 'odd' (", "rows.jsonl line 2) is not one of the model's (bad, good)", "leave the row out")),
    ([{"text": "a", "label": "good"}, {"text": "a", "label": ""}], "rows.jsonl", ("line 2 has no label",)),
    ([{"text": 3, "label": "good"}], "rows.jsonl", ("column 'text' of", "line 1 is an int, not text")),
    ([{"text": "a", "label": "-1"}], "rows.jsonl", ("holds no row with a label",)),
    ([], "rows.jsonl", ("is empty",)),
    ([{"text": "a", "label": "good"}], "rows.json", ("has a suffix that tells no format", "jsonl, csv")),
])  # fmt: skip
def test_a_row_that_cannot_be_used(rows, name, said, complaint, calibrated, tmp_path):
    says(complaint(*calibrated("single", lines(rows), name)), *said)
    assert not (tmp_path / "new").exists()


def test_rows_without_a_label_are_left_out_and_labels_are_read_in_any_case(command, calibrated):
    rows = [*SINGLE, {"text": "a", "label": "-1"}]
    code, out, err = command(*calibrated("single", lines(row | {"label": row["label"].upper()} for row in rows)))
    assert (code, out) == (0, command(*calibrated("single")).out)
    assert "rows without a label are left out, 1 in all" in err


@pytest.mark.parametrize(("words", "said"), [
    (["--thresholds", "f2"], ("thresholds 'f2' name no target",)),
    (["--thresholds", "f1"], ("thresholds are for any number of labels", "kind single")),
    (["--max-risk", "0.1", "--coverage", "0.9"], ("--coverage: not allowed with argument --max-risk", "--help")),
    (["--conformal", "90"], ("--conformal: 90 is not a share above 0 and at most 1",)),
    (["--method", "platt"], ("--method: invalid choice: 'platt'",)),
    (["--method", "none"], ("nothing is to be calibrated",)),
    (["--max-risk", "0.05"], ("no confidence keeps the risk at 0.05, as far as 4 rows can tell",)),
    (["--device", "nonsense"], ("device 'nonsense'", "choose")),
    (["--model", "/nowhere"], ("/nowhere does not exist",)),
    (["--input", "/nowhere.jsonl"], ("file /nowhere.jsonl does not exist",)),
])  # fmt: skip
def test_options_that_are_not_right_are_named(words, said, complaint, calibrated, tmp_path):
    says(complaint(*calibrated("single"), *words), *said)
    assert not (tmp_path / "new").exists()


def test_nothing_is_replaced_but_what_was_calibrated_before(command, complaint, calibrated, trained, tmp_path):
    words = calibrated("single")
    says(complaint(*words, "--output", trained("single") / "best"), "would replace the one it is made of", "--output")
    says(complaint(*words, "--output", trained("single")), "holds something else than a model", "give a new one")
    says(complaint(*words, "--output", words[4]), "dev.jsonl is a file", "give a folder")
    (tmp_path / "empty").mkdir()
    for name in ("new", "new", "empty"):
        assert command(*words, "--output", tmp_path / name).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "new"]
