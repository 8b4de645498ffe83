"""Finding configuration files: in the working folder first, then among the shipped ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from lightning_clf.errors import InputError

_OPTIONS = ("--config", "-c")


def shipped_configs() -> Path:
    """The folder of shipped configurations: inside the package in a wheel, beside `src` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parents[1] / "configs"


def resolve_configs(words: list[str]) -> list[str]:
    """Replace the names that follow `--config` by the files they mean.

    Raises:
        InputError: If there is no such file in either place.
    """
    resolved = list(words)
    for index, word in enumerate(words):
        option, separator, value = word.partition("=")
        if option not in _OPTIONS:
            continue
        if separator:
            resolved[index] = f"{option}={find_config(value)}"
        elif index + 1 < len(words):
            resolved[index + 1] = str(find_config(words[index + 1]))
    return resolved


def default_to_run(words: list[str]) -> list[str]:
    """Where a checkpoint is given and no configuration, take the one its run was configured with."""
    given = {word.partition("=")[0] for word in words}
    if "--ckpt_path" not in given or given & {*_OPTIONS, "--model", "--data"}:
        return words
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--ckpt_path")
    checkpoint = parser.parse_known_args(words)[0].ckpt_path
    config = Path(checkpoint).parent / "config.yaml" if checkpoint else None
    return ["--config", str(config), *words] if config and config.is_file() else words


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
