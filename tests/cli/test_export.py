"""`export`: a table, a folder that is whole or not there, and errors in one line."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.cli.conftest import SINGLE, says, write_rows


@pytest.fixture
def words(trained, tmp_path):
    """The words that export a kind of model to `new`."""

    def make(kind: str, format: str) -> list:
        return ["export", "--model", trained(kind) / "best.ckpt", "--format", format, "--output", tmp_path / "new"]

    return make


@pytest.mark.parametrize("kind", ["single", "tags"])
def test_a_table_a_card_and_the_same_answers(kind, command, words, trained, tmp_path):
    rows = trained(kind).parent / "data" / "dev.jsonl"
    code, out, err = command(*words(kind, "onnx"), "--input", rows)
    assert (code, err) == (0, "")
    lines = [re.split(r"  +", line) for line in out.splitlines()]
    assert [line[0] for line in lines] == [
        f"{len(rows.read_text().splitlines())} rows", "f1_macro" if kind == "single" else "entity_f1",
        "same answers", "largest difference", "weights, MB", "ms a text, one thread",
        f"written: {tmp_path / 'new'}",
    ]  # fmt: skip
    assert lines[1][1] == lines[1][2]
    assert lines[2][-1] == "100.00%"
    ours = command("predict", "--model", trained(kind) / "best", "--input", rows).out
    graph = command("predict", "--model", tmp_path / "new", "--input", rows).out
    for one, other in zip(ours.splitlines(), graph.splitlines(), strict=True):
        one, other = json.loads(one), json.loads(other)
        assert one.keys() == other.keys()
        for key in ("label", "tags", "entities"):
            assert one.get(key) == other.get(key)
    card = (tmp_path / "new" / "README.md").read_text()
    front = yaml.safe_load(re.match(r"---\n(.*?)---\n", card, flags=re.DOTALL)[1])
    assert front["pipeline_tag"] == ("text-classification" if kind == "single" else "token-classification")
    assert front["tags"] == ["lightning-clf", "bert", "onnx"]
    for name in ("`good`", "`bad`") if kind == "single" else ("`B-PER`", "scheme IOB2"):
        assert name in card
    everything = b"".join(path.read_bytes() for path in (tmp_path / "new").iterdir())
    assert str(tmp_path.parent).encode() not in everything
    assert str(trained(kind)).encode() not in everything
    config = yaml.safe_load((tmp_path / "new" / "config.yaml").read_text())
    assert config["data"]["init_args"]["source"] == "data"


def test_the_card_s_python_runs(command, words, trained, tmp_path, capsys):
    assert command(*words("single", "hf")).code == 0
    card = (tmp_path / "new" / "README.md").read_text()
    ours, stock = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    for block in (ours, stock):
        exec(block.replace("FOLDER", str(tmp_path / "new")), {})
        assert re.search(r"'label': '(good|bad)'", capsys.readouterr().out)


def test_test_scores_are_told_of_the_weights_that_have_them(command, words, run_copy, tmp_path):
    run, other = run_copy("single"), write_rows(tmp_path / "other", SINGLE)
    assert command("test", "--ckpt_path", run / "best.ckpt", "--data.source", other).code == 0
    accuracy = json.loads((run / "test_metrics.json").read_text())["test/accuracy"]
    calibrated = [
        "--model",
        run / "best",
        "--input",
        other / "test.jsonl",
        "--output",
        run / "calibrated",
        "--coverage",
        0.5,
    ]
    assert command("calibrate", *calibrated).code == 0
    given = words("single", "hf")
    for name, is_told in {"best": True, "best.ckpt": True, "calibrated": False}.items():
        given[2], given[given.index("--output") + 1] = run / name, tmp_path / f"of-{name}"
        assert command(*given).code == 0
        card = (tmp_path / f"of-{name}" / "README.md").read_text()
        assert (f"| accuracy | {accuracy:.4f} |" in card, "Scores on the test split" in card) == (is_told, is_told)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--format", "pickle"], ("--format: invalid choice: 'pickle'", "--help")),
        (["--model", "/nowhere"], ("/nowhere does not exist",)),
        (["--input", "/nowhere.jsonl"], ("file /nowhere.jsonl does not exist",)),
        (["--input", "/nowhere.txt"], ("file /nowhere.txt does not exist",)),
        (["--push-to-hub", "a/b/c"], ("--push-to-hub 'a/b/c' names no repository", "give OWNER/NAME")),
    ],
)
def test_options_that_are_not_right_are_named(more, said, complaint, words, tmp_path):
    says(complaint(*words("single", "hf"), *more), *said)
    assert not (tmp_path / "new").exists()


def test_rows_that_are_not_right_are_named(complaint, words, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "label": "good"}\n{"text": "b", "label": "odd"}\n')
    says(complaint(*words("single", "hf"), "--input", tmp_path / "rows.jsonl"), "label 'odd'", "line 2", "good")
    (tmp_path / "rows.txt").write_text("")
    says(complaint(*words("single", "hf"), "--input", tmp_path / "rows.txt"), "rows.txt is empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl", "rows.txt"]


def test_nothing_but_a_model_is_replaced(complaint, words, trained):
    given = words("single", "hf")
    says(complaint(*given, "--output", trained("single")), "holds something else than a model", "give a new one")
    given[2] = trained("single") / "best"
    says(complaint(*given, "--output", given[2]), "would replace the one it is made of", "--output")
