"""What a request asks for: JSON to rows, each checked, so that a bad one fails no request but its own."""

from __future__ import annotations

from typing import Any

from lightning_clf.errors import InputError
from lightning_clf.inference import Classifier, Predictor, TaskClassifiers
from lightning_clf.inference.inputs import Inputs
from lightning_clf.inference.together import TaskInputs, TaskRow
from lightning_clf.serving.limits import Limits
from lightning_clf.serving.refusal import RefusedError

_SHAPE = 'send {"inputs": [...]}, or {"input": ...} for one'
_SHOWN = 80  # characters of a client's own string in a message


def columns(inputs: Inputs) -> list[str]:
    """The columns of a row given as an object, in their order."""
    if inputs.tags:
        return [inputs.tokens]
    return [inputs.text, *([inputs.pair] if inputs.pair else [])]


def tasks_of(predictor: Predictor) -> dict[str, Classifier]:
    """The classifiers of a predictor by their tasks' names; one that is alone has none."""
    if isinstance(predictor, TaskClassifiers):
        return predictor.tasks
    assert isinstance(predictor, Classifier)
    return {"": predictor}


def fields(predictor: Predictor) -> list[str]:
    """The columns whose texts a person is asked for: of several tasks one text, which all read, and those of pairs."""
    if not isinstance(predictor, TaskClassifiers):
        return columns(tasks_of(predictor)[""].inputs)
    inputs = predictor.inputs.tasks.values()
    return list(dict.fromkeys([*(one.any_text for one in inputs), *(one.pair for one in inputs if one.pair)]))


def read_rows(content: Any, inputs: Inputs | TaskInputs, limits: Limits) -> list[Any]:
    """Take the rows from the content of a request.

    Args:
        content: What was parsed.
        inputs: Reads rows for the model.
        limits: How many, and how long.

    Raises:
        RefusedError: If it has another shape, or a row is not one of the model's.
    """
    if not isinstance(content, dict):
        raise RefusedError(422, f"the body is a JSON {_type(content)}, not an object: {_SHAPE}")
    if unknown := [key for key in content if key not in ("inputs", "input")]:
        raise RefusedError(422, f"the body has the key {unknown[0][:_SHOWN]!r}, which is unknown: {_SHAPE}")
    if len(content) != 1:
        raise RefusedError(
            422, f"the body must have one of the keys 'inputs' and 'input', and has {len(content)}: {_SHAPE}"
        )
    rows = content.get("inputs", [content.get("input")])
    if not isinstance(rows, list):
        raise RefusedError(422, f"'inputs' is a JSON {_type(rows)}, not an array: {_SHAPE}")
    if not 1 <= len(rows) <= limits.max_texts:
        raise RefusedError(422, f"'inputs' holds {len(rows)} texts: send from 1 to {limits.max_texts} in a request")
    return [_read(row, f"input {number}", inputs, limits) for number, row in enumerate(rows, start=1)]


def _read(row: Any, where: str, inputs: Inputs | TaskInputs, limits: Limits) -> Any:
    row = _checked_of_several(row, where, inputs) if isinstance(inputs, TaskInputs) else _checked(row, where, inputs)
    try:
        read = inputs.read(row, where)
    except InputError as error:
        raise RefusedError(422, str(error)) from error
    for one in read.values() if isinstance(read, TaskRow) else [read]:
        words = max([len(one.words), *(len(text.split()) for text in one.texts)])
        if words > limits.max_words:
            raise RefusedError(422, f"{where} has {words} words: send at most {limits.max_words} in a text")
    return read


def _checked_of_several(row: Any, where: str, inputs: TaskInputs) -> Any:
    tasks = inputs.tasks.values()
    if isinstance(row, list):
        row = {one.tokens: row for one in tasks if one.tags} or row
    if isinstance(row, dict):
        known = {name for one in tasks for name in _known(row, one)}
        if unknown := [key for key in row if key not in known]:
            raise RefusedError(
                422, f"{where} has a column {unknown[0][:_SHOWN]!r}, which no task reads: send {_wanted_of_any(inputs)}"
            )
    if not isinstance(row, dict | str) or not any(one.has_columns(row) for one in tasks):
        raise RefusedError(422, f"{where} is nothing that a task reads: send {_wanted_of_any(inputs)}")
    return row


def _wanted_of_any(inputs: TaskInputs) -> str:
    return "; or ".join(f"for {name} {_wanted(one)}" for name, one in inputs.tasks.items())


def _checked(row: Any, where: str, inputs: Inputs) -> Any:
    if inputs.tags and isinstance(row, list):
        row = {inputs.tokens: row}
    if isinstance(row, dict):
        _check_columns(row, where, inputs)
    elif not isinstance(row, str) or inputs.pair:
        raise RefusedError(422, f"{where} is a JSON {_type(row)}: send {_wanted(inputs)}")
    return row


def _check_columns(row: dict[str, Any], where: str, inputs: Inputs) -> None:
    needed = [inputs.text_column(row, column) for column in columns(inputs)]
    if unknown := [key for key in row if key not in _known(row, inputs)]:
        raise RefusedError(
            422, f"{where} has a column {unknown[0][:_SHOWN]!r}, which is unknown: send {_wanted(inputs)}"
        )
    if inputs.tags and len(row) == 1:  # words, or a text to split
        return
    if inputs.tags and row:
        raise RefusedError(422, f"{where} has both words and a text: send {_wanted(inputs)}")
    if missing := [column for column in needed if column not in row]:
        raise RefusedError(422, f"{where} has no column {missing[0]!r}: send {_wanted(inputs)}")


def _known(row: dict[str, Any], inputs: Inputs) -> list[str]:
    """The columns of a row that are read."""
    texts = [inputs.text] if inputs.tags else []
    return [inputs.text_column(row, column) for column in [*columns(inputs), *texts]]


def _wanted(inputs: Inputs) -> str:
    if inputs.tags:
        return f'a string, an array of words, or an object such as {{"{inputs.tokens}": ["Paris", "sleeps"]}}'
    shape = ", ".join(f'"{column}": "…"' for column in columns(inputs))
    return f"an object such as {{{shape}}}" if inputs.pair else f"a string, or an object such as {{{shape}}}"


def _type(value: Any) -> str:
    types = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return types.get(type(value), "number")
