"""Objects that remember how they were made, so that a checkpoint can make them again."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any, Self, TypeVar

from lightning_clf.errors import InputError, a_type

C = TypeVar("C", bound="Component")
Spec = dict[str, Any]

_NAMELESS = "*"  # marks arguments no keyword can give
# NumPy's float64 and the members of an enum are subclasses of these, which torch.load(weights_only=True) refuses
_PLAIN: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    Integral: int,  # NumPy's others are subclasses of none
    Real: float,
    PurePath: str,
}


class Component:
    """A head, a loss, a policy: anything a configuration names by `class_path` and `init_args`.

    The arguments an instance was made with are recorded before its `__init__` runs, whether it was made by the command
    or in Python, so that a user's own subclass needs neither a registration nor a call to be stored in a checkpoint.
    """

    _init_args: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Record the arguments of the call, then leave the making to `__init__`."""
        self = super().__new__(cls)
        try:
            # the class's own signature would show this method's (*args, **kwargs) on some versions of Python
            bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
        except TypeError:
            return self  # __init__ raises the same error, with the traceback a caller expects
        init_args: dict[str, Any] = {}
        for name, value in list(bound.arguments.items())[1:]:
            kind = bound.signature.parameters[name].kind
            if kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL):
                name = _NAMELESS + name
            init_args.update(value if kind is inspect.Parameter.VAR_KEYWORD else {name: value})
        # nn.Module.__setattr__ refuses to store anything before nn.Module.__init__ has run
        object.__setattr__(self, "_init_args", init_args)
        return self

    def spec(self) -> Spec:
        """The `class_path` and `init_args` that make this object again, in primitives only.

        Raises:
            InputError: If an argument is not a primitive, a list or mapping of them, or another component.
        """
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        if "<locals>" in path:
            raise InputError(
                f"{path} is defined within a function, where no checkpoint can find it again: define it at the top of "
                "a module"
            )
        for name in self._init_args:
            if name.startswith(_NAMELESS):
                raise InputError(
                    f"{path} takes {name.removeprefix(_NAMELESS)!r} by position alone, which a checkpoint cannot hold: "
                    "make it an argument with a name, a list if need be, or give by name what is passed on"
                )
        init_args = {name: _primitive(value, f"{path}({name}=…)") for name, value in self._init_args.items()}
        return {"class_path": path, "init_args": init_args}


def check_part(key: str, part: object, base: type[Component], do: str) -> None:
    """Hold what is given for a part against what parts of its sort are.

    Args:
        key: What it is called, as a user writes it.
        part: The part, or `None`.
        base: What it must be an instance of.
        do: What a subclass of that has to do.

    Raises:
        InputError: If it is none.
    """
    if part is None or isinstance(part, base | type):  # a class is told of where it is to be stored
        return
    given = type(part)  # another library's may have the name of one of ours
    room = ".".join(base.__module__.split(".")[:2])
    raise InputError(
        f"{key} is of the class {given.__module__}.{given.__qualname__}, and no {base.__name__}: make one of those in "
        f"{room}, or of a subclass of {room}.{base.__name__} that {do}"
    )


def from_spec(spec: Spec, base: type[C]) -> C:
    """Make the component a specification describes.

    Args:
        spec: What `Component.spec` returned.
        base: The class the result must be an instance of.

    Raises:
        InputError: If the class cannot be imported, is not a `base`, or does not take these arguments.
    """
    cls = import_class(spec["class_path"], base)
    init_args = {name: _restore(value) for name, value in spec.get("init_args", {}).items()}
    try:
        return cls(**init_args)
    except TypeError as error:
        raise InputError(f"{spec['class_path']} does not take the arguments it was stored with: {error}") from error


def import_class(path: str, base: type[C]) -> type[C]:
    """Find the class a stored specification names and hold it against the base it must have.

    A model that comes from elsewhere may name any module, and a module runs as it is imported. So only this library's
    modules are imported, and others must have been before.

    Raises:
        InputError: If there is no such class, its module is not of this library and not imported, or it is not a
            subclass of `base`.
    """
    module_name, _, class_name = path.rpartition(".")
    if is_foreign(module_name):
        raise InputError(
            f"the model needs {path!r}, which is not this library's and is not run unasked: if you trust it, add "
            f"--import {module_name} to the command, or import it in Python before"
        )
    try:
        cls = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"class {path!r} cannot be imported ({error}): install or put on PYTHONPATH the package that defines it"
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise InputError(f"{path} is not a {base.__name__}: name a subclass of {base.__module__}.{base.__name__}")
    return cls


def is_foreign(module: str) -> bool:
    """Whether importing a module would run code: it is there, is not this library's, and was not imported before."""
    package = module.partition(".")[0]
    if package == __name__.partition(".")[0] or module in sys.modules:
        return False
    return package.isidentifier() and importlib.util.find_spec(package) is not None


def _primitive(value: Any, where: str) -> Any:
    if isinstance(value, Component):
        return {"__component__": value.spec()}
    if value is None or isinstance(value, bool):
        return value
    for primitive, plain in _PLAIN.items():
        if isinstance(value, primitive):
            return plain(value)
    if isinstance(value, list | tuple):
        return [_primitive(item, where) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InputError(f"{where} is a mapping whose keys are not all strings, which a checkpoint cannot hold")
        return {_PLAIN[str](key): _primitive(item, where) for key, item in value.items()}
    if isinstance(value, type):
        raise InputError(f"{where} is a class, {value.__name__}: give what it makes, as in {value.__name__}()")
    raise InputError(
        f"{where} is {a_type(value)}, which a checkpoint cannot hold: pass numbers, strings, lists, mappings "
        "or other components"
    )


def _restore(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"__component__"}:
            return from_spec(value["__component__"], Component)
        return {key: _restore(item) for key, item in value.items()}
    return [_restore(item) for item in value] if isinstance(value, list) else value
