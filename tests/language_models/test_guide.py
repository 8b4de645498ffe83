"""The commands of the guide, as they stand there, with a server on loopback in the place of the host."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from lightning_clf.cli import main
from tests.language_models.conftest import respond
from tests.language_models.server import served

GUIDE = (Path(__file__).parents[2] / "docs" / "augment.md").read_text(encoding="utf-8")


def commands():
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL):
        for line in block.splitlines():
            name, *words = shlex.split(line)
            assert name == "lightning-clf"
            yield words


def test_commands_of_the_guide(folder, monkeypatch, capsys):
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    named = [row | {"label": row["label"].replace("spam", "ABBR")} for row in rows]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in named))
    (folder / "dev.jsonl").write_text('{"text": "see you later"}\n')
    (folder / "raw.jsonl").write_text('{"text": "what is for tea"}\n')
    monkeypatch.setenv("LLM_KEY", "sk-secret")
    found = list(commands())
    assert len(found) == 7
    with served(lambda body: respond(body).replace('"spam"', '"ABBR"')) as server:
        for words in found:
            words = [re.sub(r"https?://[\w.:]+/v1", server.url, word) for word in words]
            if "FOLDER" in words:  # there is none
                assert main(words) == 2
                assert "'FOLDER'" in capsys.readouterr().err
                continue
            assert main(words) == 0, capsys.readouterr().err
            for path in folder.glob("added*"):
                path.unlink()
    assert (folder / "kept.jsonl").read_text().count("ABBR") == 50
