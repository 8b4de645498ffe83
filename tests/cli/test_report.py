"""`report`: a page and JSON that are whole or not there, and errors that name option, file, column and line."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import SINGLE, TEXTS, says, write_rows


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Intervals of a few draws, which is all that these tests need."""
    from lightning_clf.reporting import compare, report

    monkeypatch.setitem(report.__kwdefaults__, "draws", 5)
    monkeypatch.setitem(compare.__kwdefaults__, "draws", 5)
    monkeypatch.setitem(compare.__kwdefaults__, "swaps", 9)


@pytest.fixture
def words(trained, tmp_path):
    """The words that report a kind of model on its own rows, to `out/report.html`."""

    def make(kind: str) -> list:
        run = trained(kind)
        source = run.parent / "data" / "dev.jsonl"
        return ["report", "--model", run / "best", "--input", source, "--output", tmp_path / "out" / "report.html"]

    return make


def test_a_page_and_a_comparison(command, words, tmp_path):
    code, out, err = command(*words("single"))
    assert (code, err) == (0, "")
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    header, first, second, last = out.splitlines()
    assert header.split(maxsplit=1) == ["value", "95 % interval"]
    assert len(header) == len(first)
    numbers = found["metrics"]["accuracy"]
    assert first.split() == ["accuracy", *(f"{numbers[end]:.4f}" for end in ("value", "low", "high"))]
    assert second.split()[0] == "f1_macro"
    assert last == f"written: {tmp_path / 'out' / 'report.html'} and the same as JSON beside it"
    again = command(*words("single")[:-1], tmp_path / "out" / "again.html")
    assert again.out.splitlines()[1:3] == [first, second]
    reports = [tmp_path / "out" / name for name in ("report.json", "again.json")]
    code, out, err = command("report", *reports, "--output", tmp_path / "out" / "compare.html")
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["metrics"]["accuracy"]["p_value"] == 1
    header, line, _, last = out.splitlines()
    assert header.split() == ["first", "second", "difference", "95", "%", "interval", "p"]
    assert line.split() == ["accuracy", *[f"{numbers['value']:.4f}"] * 2, *["+0.0000"] * 3, "1.0000"]
    assert len(header) == len(line)
    assert last.startswith(f"written: {tmp_path / 'out' / 'compare.html'}")
    names = {f"{name}.{suffix}" for name in ("report", "again", "compare") for suffix in ("html", "json")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_candidates_are_ranked_by_the_column_of_training(command, complaint, fit_words, tmp_path):
    rows = [{"text": text, "asked": f"who {place % 3}", "label": place % 2} for place, text in enumerate(TEXTS)]
    source = write_rows(tmp_path / "data", rows)
    assert command(*fit_words("single", source, data__group_column="asked", data__labels='["0", "1"]')).code == 0
    said = []
    for model in ("best", "best.ckpt"):
        words = ["report", "--model", tmp_path / "run" / model, "--input", source / "test.jsonl"]
        code, out, err = command(*words, "--output", tmp_path / "out" / "report.html")
        assert (code, err) == (0, "")
        said.append([line.split()[:2] for line in out.splitlines()[1:]])  # below the header
    found = json.loads((tmp_path / "out" / "report.json").read_text())["metrics"]
    assert said[0] == said[1]
    assert said[0][:4] == [[name, f"{found[name]['value']:.4f}"] for name in ("map", "mrr", "accuracy", "f1_macro")]
    evaluated = command("test", "--ckpt_path", tmp_path / "run" / "best.ckpt")
    assert evaluated.code == 0
    scores = json.loads((tmp_path / "run" / "test_metrics.json").read_text())
    assert [scores[f"test/{name}"] for name in ("map", "mrr")] == pytest.approx(
        [found[name]["value"] for name in ("map", "mrr")], abs=1e-6
    )
    says(complaint(*words, "--output", tmp_path / "r.html", "--group-column", "who"), "no column 'who'", "--group-col")


def test_a_checkpoint_is_reported_as_its_export_is(command, words, trained, tmp_path):
    outs = []
    for model in ("best", "best.ckpt"):
        given = words("tags")
        given[2] = trained("tags") / model
        outs.append(command(*given).out)
    assert outs[0] == outs[1] != ""


@pytest.mark.parametrize(("more", "said"), [
    (["--slices", "text", "colour"], ("has no column 'colour' to slice by (columns: text, label)", "--slices")),
    (["--output", "report.txt"], ("output report.txt is not called a page", "ends in .html")),
    (["--train", "/nowhere.jsonl"], ("file /nowhere.jsonl does not exist",)),
    (["--train", "/nowhere"], ("file /nowhere has a suffix that tells no format",)),
    (["--model", "/nowhere"], ("/nowhere does not exist",)),
    (["--label-column", "l"], ("dev.jsonl line 1 has no column 'l'", "give --label-column")),
    (["--batch-size", "0"], ("--batch-size: 0 is not a whole number",)),
    (["--device", "nonsense"], ("device 'nonsense'", "choose")),
])  # fmt: skip
def test_options_that_are_not_right_are_named(more, said, complaint, words, tmp_path):
    says(complaint(*words("single"), *more), *said)
    assert not (tmp_path / "out").exists()


def test_words_and_tags_that_are_not_found_are_named_by_options(complaint, words, tmp_path):
    source = tmp_path / "rows.jsonl"
    for row, option in (({"tokens": ["Anna"]}, "--label-column"), ({"tags": ["O"]}, "--tokens-column")):
        source.write_text(json.dumps(row) + "\n")
        says(complaint(*words("tags"), "--input", source), "rows.jsonl", f"give {option}")
    assert not (tmp_path / "out").exists()


def test_a_row_that_cannot_be_used(complaint, words, tmp_path):
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in [*SINGLE, {"text": "a", "label": "odd"}]))
    message = complaint(*words("single"), "--input", source)
    says(message, "label 'odd' (", "rows.jsonl line 9) is not one of the model's (bad, good)")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("given", "said"), [
    (["a.json"], "1 reports are named (a.json): two can be compared"),
    (["a.json", "b.json", "--model", "best"], "--model stands beside two reports to compare"),
    ([], "--model is missing: give --model and --input, or two reports to compare"),
    (["--model", "best"], "--input is missing"),
    (["a.json", "b.json"], "report a.json does not exist"),
])  # fmt: skip
def test_what_does_not_go_together(given, said, complaint):
    assert said in complaint("report", *given, "--output", "report.html")


def test_nothing_that_is_read_is_replaced(complaint, words, tmp_path):
    given = words("single")
    page = tmp_path / "page.html"
    page.mkdir()
    says(complaint(*given, "--output", page), "page.html is a folder", "another --output")
    page.rmdir()
    page.with_suffix(".json").mkdir()
    says(complaint(*given, "--output", page), "page.json is a folder", "another --output")
    assert not page.exists()
