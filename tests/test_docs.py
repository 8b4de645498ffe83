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
# the commands of the one follow from each other, and those of the other ask a server
RUN_ELSEWHERE = {
    "before_training.md",  # tests/test_before_training.py
    "augment.md",  # tests/language_models/test_guide.py
}


def commands() -> list[tuple[str, list[str]]]:
    """What follows `lightning-clf` or `-m lightning_clf` in every line of a block of shell, with the guide's name."""
    found = []
    for guide in (guide for guide in GUIDES if guide.name not in RUN_ELSEWHERE):
        for block in re.findall(r"```sh\n(.*?)```", guide.read_text(encoding="utf-8"), flags=re.DOTALL):
            for line in block.splitlines():
                match = re.search(r"(?:^|\s)(?:-m lightning_clf|lightning-clf)\s(.*)", line)
                assert match, f"{guide.name}: {line}"
                found.append((guide.name, shlex.split(match[1], comments=True)))
    return found


@pytest.mark.parametrize(
    ("guide", "words"),
    [found for found in commands() if found[1][0] == "fit"],
    ids=lambda value: " ".join(value)[:60],
)
def test_command_is_understood(guide, words, capsys):
    assert main([*words, "--print_config"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["model"]["init_args"]["encoder"]
    for word, value in itertools.pairwise(words):
        if word.startswith("--trainer."):
            assert str(printed["trainer"][word.removeprefix("--trainer.")]) == value


@pytest.mark.parametrize("words", [words for _, words in commands() if words[0] != "fit"], ids=" ".join)
def test_all_that_a_plain_command_lacks_here_is_what_it_reads(words, capsys):
    assert main(words) == 2
    called = {"--model": "model", "--ckpt_path": "checkpoint"}
    given = (f"{called[option]} {word}" for option, word in itertools.pairwise(words) if option in called)
    read = next(given, f"report {words[1]}")
    assert capsys.readouterr().err.startswith(f"error: {read} does not exist")


def additions() -> list[tuple[str, str]]:
    """Every block of YAML that names in its first line the configuration it adds to."""
    text = "\n".join(guide.read_text(encoding="utf-8") for guide in GUIDES)
    return re.findall(r"```yaml\n# (\w+\.yaml)\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize(("base", "block"), additions(), ids=lambda value: "-".join(re.findall(r"\w+", value)[-4:]))
def test_block_adds_to_its_configuration(base, block, tmp_path, capsys):
    (tmp_path / "more.yaml").write_text(block)
    assert main(["fit", "--config", base, "--config", str(tmp_path / "more.yaml"), "--print_config"]) == 0
    printed = capsys.readouterr().out
    for name in re.findall(r"class_path: ([\w.]+)", block):
        assert re.search(rf"class_path: [\w.]*\b{re.escape(name)}$", printed, flags=re.MULTILINE), name


def test_guide_names_every_method():
    from lightning_clf import data, finetuning, heads, losses

    guide = (GUIDES[0].parent / "hard_data.md").read_text(encoding="utf-8")
    bases = {"Head", "Loss", "Sampling", "Schedule"}
    for room, base in ((heads, heads.Head), (losses, losses.Loss), (data, data.Sampling)):
        names = [
            name for name in room.__all__ if isinstance(found := getattr(room, name), type) and issubclass(found, base)
        ]
        assert names
        for name in set(names) - bases:
            assert f"`{name}" in guide, name
    assert "`LoRA`" in guide
    assert finetuning.FineTuning.__name__ in guide
