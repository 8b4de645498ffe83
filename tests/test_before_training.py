"""The commands of the guide to what comes before training, and the README's line for data of one's own, are run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from lightning_clf.cli import main

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "before_training.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """What follows `lightning-clf` in every line of the guide's blocks of shell."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL)
    return [shlex.split(line.removeprefix("lightning-clf ")) for block in blocks for line in block.splitlines()]


def write_reviews(path: Path) -> None:
    path.write_text("review,stars\n" + "".join(f"a film of {n} acts,{('good', 'bad')[n % 2]}\n" for n in range(20)))


def test_the_guides_commands_run_in_their_order(tmp_path, monkeypatch, encoders, capsys):
    monkeypatch.chdir(tmp_path)
    write_reviews(tmp_path / "reviews.csv")
    init, *others = commands()
    assert main(init) == 0
    config = tmp_path / "config.yaml"
    text = re.sub(r"encoder: \S+", f"encoder: {encoders('bert')}", config.read_text())
    config.write_text(text.replace("max_length: 128", "max_length: 32").replace("max_epochs: 4", "max_epochs: 1"))
    assert [words[0] for words in others] == ["doctor", "fit", "doctor"]
    for words in others:
        capsys.readouterr()
        assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["error"] == 0
    assert (tmp_path / "runs" / "reviews" / "best" / "config.json").is_file()


def test_the_readmes_line_for_data_of_ones_own_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_reviews(tmp_path / "my.csv")
    line = next(line for line in README.splitlines() if "lightning-clf init" in line)
    command = re.search(r"`lightning-clf (init [^`]*)`", line)
    assert command is not None
    assert main(shlex.split(command[1])) == 0
    assert (tmp_path / "config.yaml").is_file()
