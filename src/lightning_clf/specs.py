"""Specifications of components to be compared, and to be read in a message."""

from __future__ import annotations

import inspect
from typing import Any

from lightning_clf.component import Component, Spec, import_class


def filled(spec: Spec) -> Spec:
    """A specification with its defaults written out, those of the components in it included."""
    init_args = {**_defaults(spec["class_path"]), **spec["init_args"]}
    return {**spec, "init_args": {key: _filled_value(value) for key, value in init_args.items()}}


def _filled_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_filled_value(item) for item in value]
    if isinstance(value, dict):
        is_component = set(value) == {"__component__"}
        return {key: filled(item) if is_component else _filled_value(item) for key, item in value.items()}
    return value


def _defaults(class_path: str) -> dict[str, Any]:
    """The defaults of every argument of a class, those it passes on to its bases included."""
    defaults: dict[str, Any] = {}
    for base in import_class(class_path, Component).__mro__:
        if "__init__" in vars(base) and issubclass(base, Component):
            parameters = inspect.signature(base.__init__).parameters.values()
            own = {item.name: item.default for item in parameters if item.default is not item.empty}
            defaults = {**own, **defaults}
            if all(item.kind is not inspect.Parameter.VAR_KEYWORD for item in parameters):
                break  # it passes on nothing that is not its own
    return defaults


def shown(value: Any) -> str:
    """A value as a message shows it: a component by its class and arguments."""
    if isinstance(value, dict) and set(value) == {"__component__"}:
        spec = value["__component__"]
        arguments = ", ".join(f"{key}={shown(item)}" for key, item in spec["init_args"].items())
        return f"{spec['class_path'].rpartition('.')[2]}({arguments})"
    return repr(value)
