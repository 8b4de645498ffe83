"""YAML with nothing passed over: what a parser would silently drop or misread is refused, with its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from lightning_clf.errors import InputError


def read_config(path: Path) -> yaml.MappingNode:
    """Read a configuration as a tree of nodes that know their lines.

    Raises:
        InputError: If the file is not UTF-8 or not YAML, holds no mapping, or has a key twice, of which YAML parsers
            keep the last without a word.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise InputError(f"config {path} is not UTF-8 (byte {error.start + 1}): save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"config {path} cannot be read ({error.strerror or error}): correct the path") from error
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(
            f"config {path}{line} is not YAML ({error.problem or error.context}): check the line's indentation, colons "
            "and quotes"
        ) from error
    except yaml.YAMLError as error:
        raise InputError(f"config {path} is not YAML ({' '.join(str(error).split())}): save it as text") from error
    if root is None:
        raise InputError(f"config {path} is empty: give it at least a model and a data section")
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"config {path} is no mapping: start it with a key such as model:")
    _refuse_repeated(root, path)
    return root


def line_of(root: yaml.MappingNode, key: Sequence[str]) -> int | None:
    """The line, from 1, of a key, or of the innermost section it belongs in; `None` if its section is not there.

    The levels called `init_args` need not be named.
    """
    node: yaml.Node = root
    line = None
    for part in key:
        found = _entry(node, part)
        if found is None:
            break
        name, node = found
        line = name.start_mark.line + 1
    return line


def strings(node: yaml.Node) -> Iterator[str]:
    """Every scalar of a configuration, as it is written."""
    if isinstance(node, yaml.ScalarNode):
        yield node.value
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from strings(item)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from strings(value)


def _entry(node: yaml.Node, part: str) -> tuple[yaml.Node, yaml.Node] | None:
    entries = {name.value: (name, value) for name, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    if part not in entries and "init_args" in entries:
        return _entry(entries["init_args"][1], part)
    return entries.get(part)


def _refuse_repeated(node: yaml.Node, path: Path) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated(item, path)
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for name, value in node.value:
        line = name.start_mark.line + 1
        if isinstance(name, yaml.ScalarNode) and name.value in lines:
            raise InputError(
                f"config {path} line {line} has the key {name.value!r} again, after line {lines[name.value]}: merge "
                "the two"
            )
        if isinstance(name, yaml.ScalarNode):
            lines[name.value] = line
        _refuse_repeated(value, path)
