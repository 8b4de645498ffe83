"""`cascade`, and `predict` that follows it, with a stand-in of known accuracy on loopback."""

from __future__ import annotations

import itertools
import json
import math

import pytest

from lightning_clf.artefact import load_artefact
from lightning_clf.decision import Decision, Scaling
from lightning_clf.inference import Classifier
from tests.cli.conftest import TEXTS
from tests.inference.conftest import classifier  # noqa: F401 (a fixture)
from tests.inference.echo import read_jsonl, write_jsonl
from tests.language_models.server import Fault, served
from tests.language_models.stand_in import knowing

CALL, ERROR = 0.02, 0.1
COLUMN = {"single": "sentence", "multi": "text"}
NAMES = {"single": ("bad", "fine", "good"), "multi": ("fear", "joy")}


@pytest.fixture
def corpus(classifier, tmp_path):  # noqa: F811
    """A calibrated model of a kind in a folder, and labelled rows about half of which it answers rightly; both by name.

    Beside it is the same without a decision, in `raw`.
    """

    def make(kind: str, count: int = 48):
        classifier(kind).artefact.save(tmp_path / "raw")
        artefact = load_artefact(tmp_path / "raw")
        artefact.network.set_decision(Decision(scaling=Scaling(1.5)))
        artefact.save(tmp_path / "best")
        model = Classifier(artefact)
        texts = [f"{one} {other} {number}" for number, (one, other) in enumerate(itertools.product(TEXTS, repeat=2))]
        rows = []
        for place, (text, answer) in enumerate(
            zip(texts, model.predict([{COLUMN[kind]: t} for t in texts]), strict=True)
        ):
            if kind == "single":
                names = NAMES[kind]
                rows.append({"sentence": text, "label": answer["label"] if place % 2 else names[place % 3]})
            else:
                rows.append({"text": text, "labels": answer["labels"] if place % 2 else NAMES[kind][place % 3 :]})
        return tmp_path / "best", write_jsonl(tmp_path / "dev.jsonl", rows[:count])

    return make


def right_of(kind, rows):
    key = "label" if kind == "single" else "labels"
    return {row[COLUMN[kind]]: row[key] for row in rows}


def words(model, rows, server, *more):
    return ["cascade", "--model", model, "--input", rows, "--endpoint", server.url, "--language-model", "stub",
            "--price-per-call", CALL, "--price-per-error", ERROR, "--output", model.parent / "new", *more]  # fmt: skip


def sureness(answer):
    """The probability of an answer as a whole."""
    chances = answer["probabilities"]
    if "label" in answer:
        return chances[answer["label"]]
    return math.prod(p if name in answer["labels"] else 1 - p for name, p in chances.items())


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_the_cheapest_threshold_is_chosen_written_and_followed(kind, command, corpus, tmp_path):
    model, source = corpus(kind)
    rows = read_jsonl(source)
    right = right_of(kind, rows)
    key = "label" if kind == "single" else "labels"
    respond = knowing(right, NAMES[kind], 0.8)
    with served(respond) as server:
        code, out, err = command(*words(model, source, server))
        assert (code, err) == (0, ""), err
        assert len(server.requests) == len(rows)
        own = [
            json.loads(line)
            for line in command("predict", "--model", model, "--input", source, "--carry").out.splitlines()
        ]
        theirs = [json.loads(respond({"messages": [{"content": row[COLUMN[kind]]}]}))[key] for row in rows]

        # every threshold that there can be, counted plainly
        costs = []
        for threshold in [0, *sorted({sureness(answer) for answer in own})]:
            asked = [sureness(answer) <= threshold for answer in own]
            given = [other if ask else answer[key] for ask, other, answer in zip(asked, theirs, own, strict=True)]
            wrong = sum(set(one) != set(row[key]) for one, row in zip(given, rows, strict=True))
            costs.append(((CALL * sum(asked) + ERROR * wrong) / len(rows), sum(asked), wrong / len(rows)))
        best = min(costs, key=lambda each: (round(each[0], 12), each[1]))
        assert 0 < best[1] < len(rows)
        table = [line.split() for line in out.splitlines()]
        assert out.splitlines()[-1] == f"written: {tmp_path / 'new'}"
        assert table[0][0] == "asking"
        assert [float(value) for value in (*table[2][1:], *table[3][1:], *table[4][1:])] == pytest.approx([
            costs[0][2], costs[-1][2], best[2], 0, 1, best[1] / len(rows), costs[0][0], costs[-1][0], best[0],
        ], abs=6e-5)  # fmt: skip
        stored = json.loads((tmp_path / "new" / "lightning_clf.json").read_text())["decision"]
        assert stored["cascade"]["price_per_call"] == CALL
        assert [(one["metric"], one["after"]) for one in stored["chosen_by"]] == [
            ("cost", pytest.approx(best[0])), ("risk", pytest.approx(best[2])), ("calls", best[1] / len(rows)),
        ]  # fmt: skip
        assert all(name in stored["cascade"]["prompt"] for name in NAMES[kind])

        # nobody is asked because a folder says so
        before = len(server.requests)
        code, out, err = command("predict", "--model", tmp_path / "new", "--input", source, "--carry")
        assert [json.loads(line) for line in out.splitlines()] == own
        assert err.startswith("warning: the model has a cascade, which is not followed: up to")
        assert f"would ask stub at {server.url}; give --endpoint URL" in err
        assert len(server.requests) == before

        follow = ["predict", "--model", tmp_path / "new", "--input", source, "--endpoint", server.url, "--carry"]
        code, out, err = command(*follow)
        assert (code, err) == (0, "")
        assert len(server.requests) == before + best[1]
    answers = [json.loads(line) for line in out.splitlines()]
    threshold = stored["cascade"]["threshold"]
    for answer, alone, other in zip(answers, own, theirs, strict=True):
        assert answer["probabilities"] == alone["probabilities"]
        asked = sureness(alone) <= threshold
        assert answer["answered_by"] == ("language_model" if asked else "classifier")
        assert answer[key] == (other if asked else alone[key])
        assert "language_model_error" not in answer
        if kind == "single":
            assert answer["probability"] == answer["probabilities"][answer["label"]]
    wrong = sum(set(one[key]) != set(row[key]) for one, row in zip(answers, rows, strict=True))
    assert wrong / len(rows) == best[2]
    # with the endpoint down it answers alone, and says so in each row
    code, out, err = command(*follow, "--tries", 1)
    assert code == 0
    for line, alone in zip(out.splitlines(), own, strict=True):
        answer = json.loads(line)
        error = answer.pop("language_model_error", None)
        assert answer.pop("answered_by") == "classifier"
        assert answer == alone
        assert (error is not None) == (sureness(alone) <= threshold)
        assert error is None or ("gave no reply" in error and error.endswith(", once"))
    assert err.startswith(
        f"warning: {best[1]} of {best[1]} rows that the language model was asked about have the class"
    )


def test_a_cascade_that_never_pays_says_so_and_asks_for_no_endpoint(command, corpus, tmp_path):
    model, source = corpus("single")
    rows = read_jsonl(source)
    with served(knowing(right_of("single", rows), NAMES["single"], 0.8)) as server:
        code, out, err = command(*words(model, source, server, "--price-per-call", 5))
    assert (code, err) == (0, "")
    assert out.splitlines()[-2] == "asking never pays at these prices: the classifier answers alone"
    assert command("predict", "--model", tmp_path / "new", "--input", source).err == ""


def test_a_cascade_that_calibration_drops_is_told(command, corpus, tmp_path):
    model, source = corpus("single")
    with served(knowing(right_of("single", read_jsonl(source)), NAMES["single"], 0.8)) as server:
        assert command(*words(model, source, server)).code == 0
    new = tmp_path / "new"
    code, _, err = command("calibrate", "--model", new, "--input", source, "--output", tmp_path / "again")
    assert code == 0
    assert f"warning: the cascade of {new} is dropped" in err
    assert "is dropped" not in command("calibrate", "--model", model, "--input", source, "--output", tmp_path / "b").err


def test_replies_are_paid_for_once(command, complaint, corpus, tmp_path):
    model, source = corpus("single", 12)
    right = right_of("single", read_jsonl(source))
    with served(knowing(right, NAMES["single"], 0.8), [Fault()] * 5 + [Fault(status=401)] * 9) as server:
        asked = words(model, source, server, "--concurrency", 1)
        code, out, _ = command(*asked, "--estimate")
        assert (code, server.requests) == (0, [])
        assert out.startswith("asking stub about 12 rows: 12 calls at 0.02 are 0.24; the replies are kept in ")
        assert "answered 401" in complaint(*asked)
        assert not (tmp_path / "new").exists()
        assert "--resume" in complaint(*asked)
        server.faults.clear()
        out = command(*asked, "--resume").out
        assert out.startswith("asking stub about 12 rows: 7 calls at 0.02 are 0.14; ")
        assert sorted(server.charged.values()) == [1] * 12
        # the same replies serve to answer the same rows by
        follow = ["predict", "--model", tmp_path / "new", "--input", source, "--endpoint", server.url, "--resume",
                  "--replies", tmp_path / "new.replies.jsonl", "--output", tmp_path / "answers.csv"]  # fmt: skip
        before = len(server.requests)
        assert command(*follow)[::2] == (0, "")
        assert len(server.requests) == before
    header = (tmp_path / "answers.csv").read_text().splitlines()[0]
    assert header.endswith("answered_by,language_model_error")


def test_what_is_no_reply_is_an_error_of_its_row(command, corpus, tmp_path):
    model, source = corpus("single")
    rows = read_jsonl(source)
    right = right_of("single", rows)
    with served(
        knowing(right, NAMES["single"], 1.0), [Fault(text="It is good."), Fault(text='{"label": "great"}')]
    ) as server:
        code, _, err = command(*words(model, source, server, "--price-per-error", 9, "--concurrency", 1))
        assert (code, err) == (
            0,
            "warning: 2 of 48 replies cannot be used: there the classifier's own answers count, as they will\n",
        )
        server.faults = [Fault(text='{"label": "great"}'), Fault(status=400), Fault(delay=2.0)]
        server.replies.clear()
        out = command("predict", "--model", tmp_path / "new", "--input", source, "--endpoint", server.url,
                      "--concurrency", 1, "--tries", 1, "--timeout", 0.5).out  # fmt: skip
    answers = [json.loads(line) for line in out.splitlines()]
    errors = [answer["language_model_error"] for answer in answers if "language_model_error" in answer]
    assert len(errors) == 3
    assert errors[0] == "the reply cannot be used: it is not of the schema (['label']: enum is broken)"
    assert errors[1].endswith("answered 400 (injected): correct the address, the model or the prompt")
    assert "gave no reply" in errors[2]
    replied = [answer for answer in answers if answer["answered_by"] == "language_model"]
    assert replied
    assert all(answer["label"] == answer["input/label"] for answer in replied)


def test_a_model_that_is_not_calibrated_is_told_of_before_anything_is_asked(command, corpus):
    model, source = corpus("single", 8)
    with served(lambda body: "") as server:
        raw = model.parent / "raw"
        said = command(*words(raw, source, server, "--estimate"))
        assert server.requests == []
        assert (said.code, said.err) == (
            0,
            f"warning: {raw} is not calibrated: `lightning-clf calibrate` it first, as doing so later drops the "
            "cascade\n",
        )
        assert command(*words(model, source, server, "--estimate"))[::2] == (0, "")


def test_what_cannot_be_is_refused(complaint, corpus, trained, tmp_path):
    model, source = corpus("single", 8)
    asked = ["cascade", "--model", model, "--input", source, "--endpoint", "http://127.0.0.1:1/v1", "--tries", 1,
             "--language-model", "stub", "--price-per-call", 0, "--output", tmp_path / "new"]  # fmt: skip
    assert "the following arguments are required: --price-per-error" in complaint(*asked)
    assert complaint(*asked, "--price-per-error", 0) == "the price of an error is 0: give a number above 0"
    assert "--price-per-error: x is not a number from 0 up" in complaint(*asked, "--price-per-error", "x")
    assert "gave no reply" in complaint(*asked, "--price-per-error", 1)
    prompt = tmp_path / "prompt.txt"
    assert "cannot be read" in complaint(*asked, "--price-per-error", 1, "--prompt", prompt)
    prompt.write_text("\n")
    assert "is empty" in complaint(*asked, "--price-per-error", 1, "--prompt", prompt)
    tagger = ["--model", trained("tags") / "best", "--input", trained("tags").parent / "data" / "dev.jsonl"]
    assert "this model has kind tags" in complaint(*asked, "--price-per-error", 1, *tagger)
    follow = ["predict", "--model", model, "--input", source]
    assert "the model has no cascade" in complaint(*follow, "--endpoint", "http://127.0.0.1:1/v1")
    assert complaint(*follow, "--tries", 1) == "--tries is of --endpoint: add it, or leave out --tries"
    assert "--replies is of --endpoint" in complaint(*follow, "--replies", "kept.jsonl")
    assert "--endpoint is not for --engine ray" in complaint(*follow, "--engine", "ray", "--endpoint", "http://h/v1")


def test_replies_lie_beside_the_folder_that_is_replaced(command, complaint, corpus, tmp_path):
    model, source = corpus("single", 8)
    with served(knowing(right_of("single", read_jsonl(source)), NAMES["single"], 0.8)) as server:
        asked = words(model, source, server)
        assert "would be lost, as" in complaint(*asked, "--replies", tmp_path / "new" / "replies.jsonl")
        assert f"--replies would write {source}, which is read" in complaint(*asked, "--replies", source)
        assert "names no new folder" in complaint(*asked, "--output", f"{tmp_path}/new/..")
        assert server.requests == []
        assert command(*asked, "--output", f"{tmp_path}/new/").code == 0
    assert len(read_jsonl(tmp_path / "new.replies.jsonl")) == 8


@pytest.mark.parametrize("replies", ["dev.jsonl", "answers.jsonl", "answers.jsonl.rejected.jsonl", "bad.jsonl"])
def test_replies_are_no_file_of_rows_or_answers(replies, complaint, corpus, tmp_path):
    model, source = corpus("single", 8)
    before = source.read_bytes()
    rejected = ["--rejected", tmp_path / "bad.jsonl"] if replies == "bad.jsonl" else []
    asked = ["predict", "--model", model, "--input", source, "--endpoint", "http://127.0.0.1:1/v1"]
    message = complaint(*asked, "--output", tmp_path / "answers.jsonl", "--replies", tmp_path / replies, *rejected)
    assert message == f"--replies would write {tmp_path / replies}, which is read or written too: name another file"
    assert source.read_bytes() == before
