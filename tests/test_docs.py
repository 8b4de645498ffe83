"""The commands in the guides are such as the command takes."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import pytest
import yaml

from lightning_clf.cli import main

GUIDES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))


def commands() -> list[tuple[str, list[str]]]:
    """What follows `lightning-clf` or `-m lightning_clf` in every line of a block of shell, with the guide's name."""
    found = []
    for guide in GUIDES:
        for block in re.findall(r"```sh\n(.*?)```", guide.read_text(encoding="utf-8"), flags=re.DOTALL):
            for line in block.splitlines():
                match = re.search(r"(?:^|\s)(?:-m lightning_clf|lightning-clf)\s(.*)", line)
                assert match, f"{guide.name}: {line}"
                found.append((guide.name, shlex.split(match[1], comments=True)))
    return found


@pytest.mark.parametrize(("guide", "words"), commands(), ids=lambda value: " ".join(value)[:60])
def test_command_is_understood(guide, words, capsys):
    assert words[0] == "fit"
    assert main([*words, "--print_config"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["model"]["init_args"]["encoder"]
    for word, value in itertools.pairwise(words):
        if word.startswith("--trainer."):
            assert str(printed["trainer"][word.removeprefix("--trainer.")]) == value
