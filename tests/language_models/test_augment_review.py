"""`lightning-clf augment`: rows that a person looks through and edits, and what becomes of them."""

from __future__ import annotations

from lightning_clf.cli import main
from tests.language_models.conftest import respond
from tests.language_models.server import served
from tests.language_models.test_augment import NEW, lines, words


def test_a_table_is_reviewed(folder, capsys):
    with served(respond) as server:
        assert main(words(server, *NEW, "--review", "review.csv")) == 0
        assert main(words(server, *NEW, "--resume", "--review", "review.csv")) == 2
    assert "review.csv is there already" in capsys.readouterr().err
    table = (folder / "review.csv").read_text(encoding="utf-8").replace("\r\n", "\n")
    head, first, second, *rest = table.splitlines()
    assert head == "keep,label,text,rest"
    edited = [head, first.replace("1,", "0,", 1), second.replace("1,spam", "1,ham", 1), *rest]
    (folder / "review.csv").write_text("\n".join(edited) + "\n", encoding="utf-8")
    reviewed = ["augment", "--data", "train.jsonl", "--reviewed", "review.csv", "--output", "kept.jsonl"]
    assert main(reviewed) == 0
    rows = lines(folder / "added.jsonl")
    assert lines(folder / "kept.jsonl") == [
        {"augmented": row["augmented"], "text": row["text"], "label": label}
        for row, label in zip(rows[1:], ["ham"] + ["spam"] * 10, strict=True)
    ]


def test_what_a_person_wrote_is_sifted_as_well(folder, capsys):
    held_out = lines(folder / "test.jsonl")[0]["text"]
    known = lines(folder / "train.jsonl")[0]["text"]
    texts = [held_out.upper(), known, "An offer that nobody has seen before", "an offer that NOBODY has seen before!"]
    table = "keep,label,text,rest\n" + "".join(f'1,spam,"{text}",{{}}\n' for text in texts)
    (folder / "review.csv").write_text(table, encoding="utf-8")
    reviewed = ["augment", "--data", "train.jsonl", "--reviewed", "review.csv", "--output", "kept.jsonl"]
    assert main([*reviewed, "--held-out", "test.jsonl"]) == 0
    assert lines(folder / "kept.jsonl") == [{"text": texts[2], "label": "spam"}]
    dropped = lines(folder / "kept.jsonl.dropped.jsonl")
    assert [(row["reason"], row["text"], row["label"]) for row in dropped] == [
        ("duplicate of held-out", texts[0], "spam"),
        ("duplicate of train", texts[1], "spam"),
        ("duplicate of added", texts[3], "spam"),
    ]
    assert dropped[2]["of"] == "kept row 1"
    assert "dropped 3 (1 duplicate of held-out, 1 duplicate of train, 1 duplicate of added)" in capsys.readouterr().out


def test_the_rows_that_were_asked_for_are_not_written_over(folder, capsys):
    with served(respond) as server:
        assert main(words(server, *NEW, "--review", "review.csv")) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["augment", "--data", "train.jsonl", "--reviewed", "review.csv", "--output", "added.jsonl"]) == 2
    assert "--output would write over the rows that added.jsonl.replies.jsonl belongs to" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_where_no_row_is_left_it_is_said(folder, capsys):
    known = lines(folder / "train.jsonl")[0]["text"]
    (folder / "review.csv").write_text(f'keep,label,text,rest\n1,spam,"{known}",{{}}\n', encoding="utf-8")
    assert main(["augment", "--data", "train.jsonl", "--reviewed", "review.csv", "--output", "kept.jsonl"]) == 0
    assert "warning: no row is left: see what was dropped" in capsys.readouterr().err
    assert lines(folder / "kept.jsonl") == []
