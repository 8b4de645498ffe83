"""What is kept of replies, and that none is paid for twice."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from lightning_clf.errors import InputError
from lightning_clf.language_models import Budget, Journal, LanguageModel, Message, Prices, Prompt, Reply, Usage
from lightning_clf.language_models.prompt import parse

SCHEMA = {"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}, "required": ["label"]}
GOOD = Reply('{"label": "good"}', 10, 4)


def prompt(text="a great joy", **options):
    return Prompt((Message("user", text),), SCHEMA, **{"max_tokens": 8, **options})


class Script(LanguageModel):
    """Replies in order, and counts."""

    name = "script"

    def __init__(self, *replies, concurrency=1):
        self.replies, self.asked, self.concurrency = list(replies), [], concurrency
        self.lock, self.given_up = threading.Lock(), False

    def ask(self, prompt):
        with self.lock:
            self.asked.append(prompt)
            reply = self.replies.pop(0) if self.replies else GOOD
        if isinstance(reply, Exception):
            raise reply
        return reply

    def count_input(self, prompt):
        return 10

    def give_up(self):
        self.given_up = True


@pytest.fixture
def path(tmp_path):
    return tmp_path / "replies.jsonl"


def test_a_reply_is_asked_for_once(path):
    model = Script()
    with Journal(path, resume=False) as journal:
        first = journal.ask(model, prompt())
        assert first.value == {"label": "good"}
        assert journal.ask(model, prompt()) == first
    with Journal(path, resume=True) as journal:
        assert journal.ask(model, prompt()) == first
        assert journal.has(model, prompt())
        assert journal.found == journal.spent == Usage(1, 10, 4)
    assert len(model.asked) == 1
    (line,) = path.read_text().splitlines()
    assert json.loads(line) == {
        "request": prompt().digest("script"),
        "model": "script",
        "attempt": 0,
        "date": first.date,
        "text": GOOD.text,
        "tokens_in": 10,
        "tokens_out": 4,
        "fault": "",
    }


@pytest.mark.parametrize(
    "other",
    [
        prompt("another"),
        prompt(sample=1),
        prompt(max_tokens=9),
        prompt(temperature=0.0),
        replace(prompt(), schema={**SCHEMA, "title": "another"}),
        replace(prompt(), messages=(Message("system", "a great joy"),)),
    ],
)
def test_what_differs_in_anything_is_another_request(other, path):
    model = Script()
    with Journal(path, resume=False) as journal:
        journal.ask(model, prompt())
        journal.ask(model, other)
        assert len(model.asked) == 2
        model.name = "another"
        journal.ask(model, prompt())
    assert len(model.asked) == 3


def test_what_is_not_of_the_schema_is_asked_again_paid_for_and_kept(path):
    bad = [Reply("no", 10, 1), Reply('{"label": "ugly"}', 10, 4)]
    model = Script(*bad)
    with Journal(path, resume=False) as journal:
        assert journal.ask(model, prompt()).value == {"label": "good"}
        assert journal.spent == Usage(3, 30, 9)
    assert [asked.attempt for asked in model.asked] == [0, 1, 2]
    model = Script(*bad, Reply("{", 10, 1))
    with Journal(path, resume=True) as journal:
        answer = journal.ask(model, prompt("another"))
        assert (answer.value, answer.fault) == (None, "it holds no JSON object")
        assert answer.digest == replace(prompt("another"), attempt=2).digest("script")
        assert journal.ask(model, prompt("another")) == answer
    assert len(model.asked) == 3


def test_a_line_that_was_cut_off_is_forgotten_and_the_rest_stands(path):
    with Journal(path, resume=False) as journal:
        journal.ask(Script(), prompt("one"))
        journal.ask(Script(), prompt("two"))
    whole = path.read_bytes()
    for cut in (1, 40, len(whole.splitlines()[1])):
        path.write_bytes(whole[:-cut])
        model = Script()
        with Journal(path, resume=True) as journal:
            for text in ("one", "two"):
                journal.ask(model, prompt(text))
        assert [asked.messages[0].content for asked in model.asked] == ["two"]
        assert len(path.read_bytes().splitlines()) == 2


@pytest.mark.parametrize("line", ["{}", "[]", "x", '{"request": "a", "date": "b", "text": 1, "tokens_in": 1}'])
def test_a_damaged_line_is_named(line, path):
    path.write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"replies\.jsonl line 1 is no reply"):
        Journal(path, resume=True)


def test_replies_that_were_paid_for_are_not_written_over(path):
    with Journal(path, resume=False) as journal:
        journal.ask(Script(), prompt())
    with pytest.raises(InputError, match="add --resume"):
        Journal(path, resume=False)


def test_a_journal_of_nothing_leaves_nothing(path):
    with Journal(path, resume=True):
        with pytest.raises(InputError, match="another process is writing"):
            Journal(path, resume=True)
        assert path.exists()
    assert not path.exists()


def test_a_file_that_was_there_stays_where_nothing_is_asked(path):
    path.touch()
    with Journal(path, resume=False):
        pass
    assert path.exists()


def test_answers_come_in_order_from_several_threads_and_like_requests_are_one(path):
    model = Script(concurrency=4)
    texts = [f"text {number % 30}" for number in range(60)]
    with Journal(path, resume=False) as journal:
        answers = list(journal.ask_all(model, map(prompt, texts)))
        assert journal.spent.calls == 30
    assert [answer.digest for answer in answers] == [prompt(text).digest("script") for text in texts]
    assert len(model.asked) == 30


def test_a_failure_ends_all_and_what_was_paid_is_kept(path):
    model = Script(GOOD, GOOD, InputError("down"))
    with Journal(path, resume=False) as journal:
        answers = journal.ask_all(model, (prompt(f"text {number}") for number in range(9)))
        with pytest.raises(InputError, match="down"):
            list(answers)
    assert model.given_up
    assert len(path.read_text().splitlines()) == len(model.asked) - 1


def test_who_has_enough_may_stop(path):
    model = Script()
    with Journal(path, resume=False) as journal:
        answers = journal.ask_all(model, (prompt(f"text {number}") for number in range(99)))
        next(answers)
        answers.close()
    assert not model.given_up
    assert 1 <= len(path.read_text().splitlines()) == len(model.asked) < 99


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_limit_is_not_gone_beyond(concurrency, path):
    prices = Prices(1e5, 2e5)  # of a million tokens: 10 in and 4 out are 1.8, and 10 in and 8 out at most 2.6
    model = Script(concurrency=concurrency)
    with Journal(path, resume=False, budget=Budget(prices, 8.1)) as journal:
        with pytest.raises(InputError, match=r"go beyond the limit of 8\.1.*--resume"):
            list(journal.ask_all(model, (prompt(f"text {number}") for number in range(9))))
        assert prices.of(journal.spent) <= 8.1
    if concurrency > 1:  # which of them were asked is the threads' affair
        return
    assert len(model.asked) == 4  # 3 · 1.8 + 2.6 ≤ 8.1 < 4 · 1.8 + 2.6
    with Journal(path, resume=True, budget=Budget(prices, 9.8)) as journal:
        for number in range(5):
            journal.ask(model, prompt(f"text {number}"))
        assert journal.spent.calls == 5
        assert prices.of(journal.spent) == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"label": "good"}', {"label": "good"}),
        ('Here it is:\n```json\n{"label": "bad"}\n```', {"label": "bad"}),
        ('["good"]', "it holds no JSON object"),
        ("", "it holds no JSON object"),
        ("} {", "it holds no JSON object"),
        ('{"label": "good"', "it holds no JSON object"),
        ('{"label": "good",}', "it is not JSON"),
        ('{"label": "good"} {"label": "bad"}', "it is not JSON"),
        ('{"label": NaN}', "it is not JSON (NaN is no number)"),
        ('{"label": "good", "why": "\\ud800"}', "it is not JSON"),
        ('{"label":' * 100_000 + "}" * 100_000, "it is not JSON"),
        ('{"label": "ugly"}', "it is not of the schema (['label']: enum is broken)"),
        ("{}", "it is not of the schema (required is broken)"),
    ],
)
def test_the_object_in_a_reply(text, value):
    if isinstance(value, dict):
        assert parse(Reply(text, 1, 1), SCHEMA) == value
        return
    with pytest.raises(ValueError) as error:
        parse(Reply(text, 1, 1), SCHEMA)
    assert str(error.value).startswith(value)


def test_a_reply_with_a_fault_is_none():
    with pytest.raises(ValueError, match="cut off"):
        parse(replace(GOOD, fault="it was cut off"), SCHEMA)
