"""`lightning-clf augment` against a real server: rows and labels, what is dropped, what is paid."""

from __future__ import annotations

import hashlib
import json
import re
import warnings

import pytest

from lightning_clf import SequenceDataModule
from lightning_clf.cli import main
from lightning_clf.language_models.near import jaccard, shingles
from lightning_clf.language_models.template import Template
from tests.language_models.conftest import respond, spam
from tests.language_models.server import Fault, served

FAULTS = [
    Fault(status=429, headers={"Retry-After": "0"}),
    Fault(status=500),
    Fault(cut="before"),
    Fault(cut="within"),
    Fault(text="no JSON"),
    Fault(body=b"<html>"),
    Fault(text='{"texts": "one"}'),
    None,
    Fault(text='{"texts": []}'),
]


def words(server, *more):
    common = [
        "augment",
        "--data",
        "train.jsonl",
        "--output",
        "added.jsonl",
        "--endpoint",
        server.url,
        "--model",
        "stub",
    ]
    return [*common, *more]


NEW = ("--labels", "spam", "--rows", "12", "--held-out", "test.jsonl", "--at-once", "3")


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No waits between tries."""
    monkeypatch.setattr("lightning_clf.language_models.endpoint.random.uniform", lambda low, high: 0.001)


def test_rows_of_a_rare_label(folder, capsys):
    with served(respond) as server:
        assert main(words(server, *NEW)) == 0
    rows, dropped = lines(folder / "added.jsonl"), lines(folder / "added.jsonl.dropped.jsonl")
    assert len(rows) == 12
    assert {row["label"] for row in rows} == {"spam"}
    prompt = Template.read(None, "rows.txt", "label").digest
    for row in rows:
        made = row["augmented"]
        assert (made["kind"], made["model"], made["prompt"]) == ("row", "stub", prompt)
        assert made["request"] in server.charged
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", made["date"])
    # every text that was replied is either a row or listed
    replied = [text for body in server.replies.values() for text in texts_of(body)]
    assert sorted(replied) == sorted(row["text"] for row in rows + dropped)
    taken = [shingles(row["text"]) for row in rows]
    known = [shingles(text) for text in (spam(0), spam(1), "your number was drawn, phone us at once")]
    assert max(jaccard(one, other) for place, one in enumerate(taken) for other in [*known, *taken[:place]]) < 0.7
    shown = server.requests[0]["messages"][0]["content"]
    assert '"your number was drawn, phone us at once"' in shown
    assert spam(1) not in shown  # of test nothing is told to anyone
    said = capsys.readouterr().out
    assert said.startswith("estimate: 4 requests, ")
    assert f"\nwritten: added.jsonl (12 rows); dropped {len(dropped)}" in said


def texts_of(body):
    return json.loads(json.loads(body)["choices"][0]["message"]["content"])["texts"]


def test_training_reads_the_rows_and_not_where_they_come_from(folder):
    with served(respond) as server:
        assert main(words(server, *NEW)) == 0
    with (folder / "train.jsonl").open("a") as file:
        file.write((folder / "added.jsonl").read_text())
    data = SequenceDataModule({"train": str(folder / "train.jsonl")})
    assert list(data.labels.names) == ["ham", "spam"]
    assert len(list(data.splits["train"].rows())) == 54


def test_faults_lose_and_double_nothing_and_charge_once(folder):
    with served(respond) as server:
        assert main(words(server, *NEW, "--concurrency", "1")) == 0
    whole = lines(folder / "added.jsonl")
    for path in folder.glob("added*"):
        path.unlink()
    with served(respond, FAULTS) as server:
        assert main(words(server, *NEW, "--concurrency", "1")) == 0
        rows = lines(folder / "added.jsonl")
        paid = lines(folder / "added.jsonl.replies.jsonl")
        assert set(server.charged.values()) == {1}
        assert {line["request"] for line in paid} == set(server.charged)
        assert len(paid) == len(server.charged)
    assert len(rows) == 12
    assert len({row["text"] for row in rows}) == 12
    # the first two requests were at last replied to as they would have been
    assert [row["text"] for row in rows][:3] == [row["text"] for row in whole][:3]


def test_a_second_run_pays_for_what_is_new_alone(folder, capsys):
    with served(respond) as server:
        assert main(words(server, *NEW)) == 0
        first, asked = (folder / "added.jsonl").read_bytes(), len(server.requests)
        assert main(words(server, *NEW)) == 2
        assert "add --resume" in capsys.readouterr().err
        assert main(words(server, *NEW, "--resume")) == 0
        assert (folder / "added.jsonl").read_bytes() == first
        assert len(server.requests) == asked
        said = capsys.readouterr().out
        assert said.startswith("estimate: 0 requests, 0 tokens in, about 0 out and 0 at most; 4 more are paid already")
        assert said.endswith("in this run 0 replies, 0 tokens in, 0 out\n")
        assert main(words(server, *NEW, "--resume", "--similarity", "0.9")) == 0
        assert set(server.charged.values()) == {1}


def test_one_request_that_is_not_replied_to_is_gone_on_with(folder, capsys):
    one = ("--labels", "spam", "--rows", "1")
    with served(respond, [Fault(status=500)]) as server:
        assert main(words(server, *one, "--tries", "1")) == 2
        said = capsys.readouterr()
        assert re.fullmatch(r"estimate: 1 request, \d+ tokens in, about \d+ out and 1024 at most\n", said.out)
        assert said.err.endswith(", once: run the same command with --resume when it answers\n")
        assert main(words(server, *one, "--resume")) == 0
        assert main(words(server, *one, "--resume", "--estimate")) == 0
    assert capsys.readouterr().out.endswith("at most; 1 more is paid already\n")


def test_rows_that_have_no_label(folder):
    raw = [
        {"id": 7, "text": "win a boat"},
        {"id": 8, "text": "see you"},
        {"id": 9, "text": spam(1)},
        {"id": 10, "text": " "},
    ]
    raw += [{"id": 11, "text": "Win a boat!"}, {"id": 12, "text": "what is for tea"}]
    (folder / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in raw))
    faults = [Fault(text='{"label": "eggs"}')] * 3  # a label that is none, until it is given up
    with served(respond, faults) as server:
        options = ("--unlabelled", "raw.jsonl", "--held-out", "test.jsonl", "--concurrency", "1")
        assert main(words(server, *options)) == 0
    rows, dropped = lines(folder / "added.jsonl"), lines(folder / "added.jsonl.dropped.jsonl")
    assert [(row["id"], row["label"]) for row in rows] == [(8, "ham"), (12, "ham")]
    assert rows[0]["augmented"]["kind"] == "label"
    assert [(row["where"][-1], row["reason"], row.get("of"), row.get("fault")) for row in dropped] == [
        ("3", "duplicate of held-out", "test.jsonl line 1", None),
        ("4", "empty", None, None),
        ("5", "duplicate of added", "raw.jsonl line 1", None),
        ("1", "no usable reply", None, "it is not of the schema (['label']: enum is broken)"),
    ]
    assert server.requests[0]["response_format"]["json_schema"]["schema"]["properties"] == {
        "label": {"type": "string", "enum": ["ham", "spam"]}
    }
    assert len(server.requests) == 5  # three of the first row, and one each of two others


def test_several_labels_a_text(folder):
    rows = [{"text": f"text {number} of {name}", "labels": [name]} for number in range(6) for name in ("a", "b")]
    (folder / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "raw.jsonl").write_text('{"text": "one"}\n{"text": "another thing"}\n')
    replies = iter(['{"labels": ["b", "a", "b"]}', '{"labels": []}'])
    with served(lambda body: next(replies)) as server:
        options = ("--data", "many.jsonl", "--unlabelled", "raw.jsonl", "--concurrency", "1")
        assert main(words(server, *options)) == 0
    assert [row["labels"] for row in lines(folder / "added.jsonl")] == [["b", "a"], []]
    with served(respond) as server:
        assert (
            main([*words(server, "--data", "many.jsonl", "--labels", "a", "--rows", "2"), "--output", "two.jsonl"]) == 0
        )
    assert [row["labels"] for row in lines(folder / "two.jsonl")] == [["a"], ["a"]]


def test_up_to_a_share_of_the_commonest_label(folder):
    with served(respond) as server:
        assert main(words(server, "--ratio", "0.25")) == 0
    assert len(lines(folder / "added.jsonl")) == 8  # of 40 a quarter is 10, and two are there


def test_where_too_little_is_new_it_ends_all_the_same(folder, capsys):
    with served(lambda body: json.dumps({"texts": [spam(5)] * 3})) as server:
        assert main(words(server, *NEW)) == 0
    assert "written: added.jsonl (1 row); dropped" in capsys.readouterr().out
    dropped = lines(folder / "added.jsonl.dropped.jsonl")
    assert {row["reason"] for row in dropped} == {"duplicate of added"}
    assert {(row["of"], row["similarity"]) for row in dropped} == {("added row 1", 1.0)}
    assert len(server.requests) == 12  # three rounds of four


def test_the_cost_is_told_before_anything_is_asked(folder, capsys):
    prices = ("--price-in", "2", "--price-out", "10")
    with served(respond) as server:
        assert main(words(server, *NEW, *prices, "--estimate")) == 0
        assert not server.requests
        assert not list(folder.glob("added*"))
        found = re.fullmatch(
            r"estimate: 4 requests, (\d+) tokens in, about (\d+) out and 4096 at most: (\S+) to (\S+)\n",
            capsys.readouterr().out,
        )
        tokens, about = int(found[1]), int(found[2])
        assert found[3] == f"{(2 * tokens + 10 * about) / 1e6:.4f}"
        assert found[4] == f"{(2 * tokens + 40960) / 1e6:.4f}"
        assert main(words(server, *NEW, *prices, "--limit-cost", "0.0001")) == 2
        assert "--limit-cost is 0.0001" in capsys.readouterr().err
        assert not server.requests
        assert not list(folder.glob("added*"))


def test_a_prompt_of_ones_own(folder):
    (folder / "prompt.txt").write_text("{count} of {label}: new texts. Write 3 new, like\n{examples}\n{text}")
    with served(respond) as server:
        assert main(words(server, *NEW, "--prompt", "prompt.txt", "--examples", "1", "--temperature", "0.5")) == 0
    first = server.requests[0]
    assert re.fullmatch(r'3 of spam: new texts. Write 3 new, like\n".*"\n\{text\}', first["messages"][0]["content"])
    assert first["temperature"] == 0.5
    made = lines(folder / "added.jsonl")[0]["augmented"]["prompt"]
    assert made == hashlib.sha256((folder / "prompt.txt").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "say how many rows are wanted"),
        (("--rows", "3"), "say how many rows are wanted"),
        (("--rows", "3", "--ratio", "0.1", "--labels", "spam"), "say how many rows are wanted"),
        (("--rows", "3", "--labels", "eggs"), "label 'eggs' of --labels is none of --data (ham, spam)"),
        (("--ratio", "0.01"), "no label has fewer rows than 0.01 of the commonest one's 40"),
        (("--ratio", "0.5", "--limit-cost", "1"), "--limit-cost needs prices"),
        (("--ratio", "0.5", "--unlabelled", "raw.jsonl"), "--unlabelled is to label rows"),
        (("--ratio", "0.5", "--output", "train.jsonl"), "--output would write train.jsonl, which is read or written"),
        (("--unlabelled", "o.dropped.jsonl", "--output", "o"), "--output would write o.dropped.jsonl, which is read"),
        (("--ratio", "0.5", "--output", "o", "--review", "o"), "--review would write o, which is read or written too"),
        (("--ratio", "0.5", "--key-variable", "NO_SUCH_KEY"), "environment variable NO_SUCH_KEY is not set"),
        (("--ratio", "0.5", "--held-out", "none.jsonl"), "file none.jsonl does not exist"),
        (("--ratio", "0.5", "--text-column", "body"), "give --text-column"),
        (("--ratio", "0.5", "--device", "cuda"), "--device is of a model that runs here"),
        (("--ratio", "0.5", "--data", "tags.jsonl"), "tags.jsonl holds words with tags"),
        (("--ratio", "0.5", "--data", "pairs.jsonl"), "pairs.jsonl holds pairs (column 'text_pair')"),
    ],
)
def test_what_is_refused_before_anything_is_asked(options, said, folder, capsys):
    (folder / "tags.jsonl").write_text('{"tokens": ["a"], "tags": ["O"]}\n')
    (folder / "pairs.jsonl").write_text('{"text": "a", "text_pair": "b", "label": "c"}\n')
    with served(respond) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(words(server, *options)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not server.requests
    assert not list(folder.glob("added*"))


@pytest.mark.parametrize("option", [("--key-variable", "K"), ("--timeout", "9"), ("--concurrency", "2")])
def test_how_an_endpoint_is_asked_is_refused_where_there_is_none(option, folder, capsys):
    words = ["augment", "--data", "train.jsonl", "--output", "added.jsonl", "--model", "M", "--ratio", "0.5", *option]
    assert main(words) == 2
    assert f"{option[0]} is of --endpoint: add it, or leave out {option[0]}" in capsys.readouterr().err
