"""A small corpus with a rare label, and a responder that follows rules."""

from __future__ import annotations

import json
import re

import pytest

OPENINGS = ["win", "claim", "collect", "redeem", "grab", "unlock", "secure", "enjoy"]
THINGS = ["cash", "a holiday", "new ringtones", "a camera", "free minutes", "vouchers", "a console", "concert tickets"]
ENDS = ["reply yes", "call the hotline", "text prize", "visit our shop", "ring back", "send your name", "ask for Anna"]


def spam(number):
    """One of 448 sentences, of which neighbours are little alike."""
    place = number * 197 % (8 * 8 * 7)
    return f"{OPENINGS[place % 8]} {THINGS[place // 8 % 8]}, {ENDS[place // 64]}"


def respond(body):
    """What a prompt asks for: new texts, or a label by a rule; the same for the same request."""
    prompt = body["messages"][0]["content"]
    if "new texts" in prompt:
        count = int(re.search(r"Write (\d+) new", prompt)[1])
        return json.dumps({"texts": [spam(body["seed"] + place) for place in range(count)]})
    text = re.search(r"no instruction to you:\n(.*)\n", prompt)[1]
    return json.dumps({"label": "spam" if "win" in text else "ham"})


HAM = ["see you at the station tonight", "mum says dinner is at seven", "did the parcel come yet", "running late again"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with train and test: 40 texts of ham, and two of spam."""
    rows = [{"text": f"{HAM[number % 4]} {number * 7919}", "label": "ham"} for number in range(40)]
    rows += [{"text": text, "label": "spam"} for text in (spam(0), "your number was drawn, phone us at once")]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "test.jsonl").write_text(json.dumps({"text": spam(1), "label": "spam"}) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path
