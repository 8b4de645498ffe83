"""Finding configuration files: in the working folder first, then among the shipped ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from lightning_clf.cli.strict_yaml import line_of, read_config
from lightning_clf.cli.unasked import check_classes
from lightning_clf.errors import InputError
from lightning_clf.files import check_checkpoint_file

LAST = "last"
"""As `--ckpt_path` of a fit: the run folder's own `last.ckpt` if it is there. One command then begins and goes on."""

_OPTIONS = ("--config", "-c")


def shipped_configs() -> Path:
    """The folder of shipped configurations: inside the package in a wheel, beside `src` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parents[1] / "configs"


def resolve_configs(words: list[str]) -> list[str]:
    """Replace the names that follow `--config` by the files they mean, and check that those can be read.

    Raises:
        InputError: If there is no such file in either place, or it is not a configuration.
    """
    resolved = list(words)
    for index, word in enumerate(words):
        option, separator, value = word.partition("=")
        if option not in _OPTIONS:
            continue
        if separator:
            resolved[index] = f"{option}={_checked(value)}"
        elif index + 1 < len(words):
            resolved[index + 1] = str(_checked(words[index + 1]))
    return resolved


def default_to_run(words: list[str]) -> list[str]:
    """Where a checkpoint is given and no configuration, take the one its run was configured with.

    Raises:
        InputError: If there is no such checkpoint.
    """
    checkpoint = value_of(words, "--ckpt_path")
    if checkpoint is None or checkpoint == LAST:
        return words
    check_checkpoint_file(checkpoint)
    if {word.partition("=")[0] for word in words} & {*_OPTIONS, "--model", "--data"}:
        return words
    config = Path(checkpoint).parent / "config.yaml"
    if not config.is_file():
        return words
    check_classes(config)
    return ["--config", str(config), *words]


def find_config(name: str) -> Path:
    """The file a configuration's name means.

    Raises:
        InputError: If there is no such file in the working folder, nor a shipped one.
    """
    for candidate in (Path(name), shipped_configs() / name):
        if candidate.is_file():
            return candidate
    root = shipped_configs()
    names = ", ".join(sorted(str(path.relative_to(root)) for path in root.rglob("*.yaml")))
    raise InputError(f"config {name!r} is neither a file here nor a shipped one: the shipped ones are {names}")


def where(words: list[str], key: str) -> str:
    """Where a key was given, as the beginning of a message: `ner.yaml line 7: `, or nothing for the command line.

    Args:
        words: The words of the command line, with configurations resolved.
        key: The key as the command line has it, such as `model.learning_rate`.
    """
    given = {word.partition("=")[0].removeprefix("--").replace("init_args.", "").rstrip("+") for word in words}
    if given & {key, key.removesuffix(".class_path")}:
        return ""
    for file in reversed(_config_files(words)):
        line = line_of(read_config(file), key.split("."))
        if line is not None:
            return f"{file} line {line}: "
    return ""


def _checked(name: str) -> Path:
    path = find_config(name)
    read_config(path)
    return path


def _config_files(words: list[str]) -> list[Path]:
    parts = [word.partition("=") for word in words]
    following = [*words[1:], ""]
    files = [value or following[index] for index, (option, _, value) in enumerate(parts) if option in _OPTIONS]
    return [Path(file) for file in files if file]


def value_of(words: list[str], option: str) -> str | None:
    """What follows an option on the command line, if it is there."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(option, nargs="?", dest="value")
    value: str | None = parser.parse_known_args(words)[0].value
    return value
