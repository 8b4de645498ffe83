"""Components are made again from what they were made with, whoever wrote them."""

from __future__ import annotations

import copy
import enum
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_clf.component import Component, from_spec, import_class
from lightning_clf.errors import InputError
from lightning_clf.heads import Head, LinearHead, MLPHead
from lightning_clf.losses import BCELoss, CrossEntropyLoss, Loss


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Part(Component):
    """One of a user's own."""

    def __init__(self, size: int, name: str = "part", *, scale: float = 1.0) -> None:
        self.made_with = (size, name, scale)


class Whole(Part):
    """Takes other components, and passes on what it does not know."""

    def __init__(self, parts: Any = (), **options: Any) -> None:
        super().__init__(**options)
        self.parts = parts


class Layered(Component, nn.Module):
    """A module, which refuses attributes before its own `__init__`."""

    def __init__(self, inner: nn.Module | None = None, width: int = 2) -> None:
        super().__init__()
        self.inner, self.layer = inner, nn.Linear(width, width)


class Nameless(Component):
    def __init__(self, *widths: int) -> None:
        self.widths = widths


class PositionOnly(Component):
    def __init__(self, width: int, /) -> None:
        self.width = width


@pytest.mark.parametrize(
    ("component", "init_args"),
    [
        (Part(3), {"size": 3}),
        (Part(3, "x", scale=2), {"size": 3, "name": "x", "scale": 2}),
        (Part(name="y", size=1), {"name": "y", "size": 1}),
        (Whole(size=4, scale=0.5), {"size": 4, "scale": 0.5}),
        (Layered(), {}),
        (MLPHead("mean", hidden_features=8), {"pooling": "mean", "hidden_features": 8}),
        (CrossEntropyLoss({"a": 1.0, "b": 2.5}, 0.1), {"class_weights": {"a": 1.0, "b": 2.5}, "label_smoothing": 0.1}),
        (BCELoss(None, [1.0, 2.0]), {"class_weights": None, "pos_weight": [1.0, 2.0]}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Component) else "",
)
def test_a_specification_holds_what_was_given(component: Component, init_args: dict[str, Any]) -> None:
    kind = type(component)
    spec = component.spec()
    assert spec == {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": init_args}
    again = from_spec(spec, Component)
    assert type(again) is kind
    assert again.spec() == spec
    if isinstance(component, Part):
        assert again.made_with == component.made_with


def test_nested_components_are_made_again() -> None:
    whole = Whole([Part(1), {"deep": Whole(Layered(width=5), size=2)}], size=9)
    again = from_spec(whole.spec(), Whole)
    assert again.spec() == whole.spec()
    assert again.made_with == (9, "part", 1.0)
    assert again.parts[0].made_with == (1, "part", 1.0)
    assert again.parts[1]["deep"].parts.layer.weight.shape == (5, 5)


def test_a_specification_reads_back_from_a_checkpoint_of_primitives() -> None:
    others = [np.float32(0.5), np.int64(3), Path("a") / "b"]
    part = Whole([Part(Level.HIGH, Colour.RED, scale=np.float64(0.1)), *others], size=True, name=None)
    file = io.BytesIO()
    torch.save(part.spec(), file)
    file.seek(0)
    stored = torch.load(file, weights_only=True)
    inner = stored["init_args"]["parts"][0]["__component__"]["init_args"]
    assert inner == {"size": 3, "name": "red", "scale": 0.1}
    assert [type(value) for value in inner.values()] == [int, str, float]
    assert stored["init_args"]["parts"][1:] == [0.5, 3, str(Path("a") / "b")]
    assert [type(value) for value in stored["init_args"]["parts"][1:]] == [float, int, str]
    assert stored["init_args"]["size"] is True


def test_a_copy_knows_what_the_original_was_made_with() -> None:
    for component in (Part(3, "x"), Layered(Layered(width=3), 4)):
        assert copy.deepcopy(component).spec() == component.spec()


@pytest.mark.parametrize(
    ("component", "message"),
    [
        (
            Part(torch.zeros(2)),
            r"tests.test_component.Part\(size=…\) is a Tensor, which a checkpoint cannot hold: pass",
        ),
        (Whole([1, {"f": len}], size=1), r"Whole\(parts=…\) is a builtin_function_or_method, which"),
        (Whole(Part(object()), size=1), r"Part\(size=…\) is an object, which"),
        (Part({1: "a"}), r"Part\(size=…\) is a mapping whose keys are not all strings"),
        (
            Nameless(1, 2),
            r"Nameless takes 'widths' by position alone, which a checkpoint cannot hold: make it an argument with a "
            r"name, a list if need be, or give by name what is passed on$",
        ),
        (Part(Layered), r"Part\(size=…\) is a class, Layered: give what it makes, as in Layered\(\)$"),
        (PositionOnly(1), r"PositionOnly takes 'width' by position alone"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Component) else "",
)
def test_what_cannot_be_stored_is_named(component: Component, message: str) -> None:
    with pytest.raises(InputError, match=message):
        component.spec()


def test_wrong_arguments_raise_what_python_raises() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'size'"):
        Part()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        LinearHead(colour="red")  # type: ignore[call-arg]


def test_stored_arguments_a_class_no_longer_takes() -> None:
    spec = {"class_path": "lightning_clf.heads.LinearHead", "init_args": {"width": 3}}
    with pytest.raises(InputError, match=r"LinearHead does not take the arguments it was stored with: .*'width'"):
        from_spec(spec, Head)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.Head", r"class 'nowhere.Head' cannot be imported \(No module named 'nowhere'\): install or put on"),
        ("lightning_clf.heads.NoHead", r"class 'lightning_clf.heads.NoHead' cannot be imported"),
        ("Head", r"class 'Head' cannot be imported"),
        ("", r"class '' cannot be imported"),
        ("..heads.Head", r"class '..heads.Head' cannot be imported"),
        (
            "tests.test_component.test_x.<locals>.Head",
            r"is not run unasked: if you trust it, add --import tests.test_comp",
        ),
        ("lightning_clf.heads.linear", r"lightning_clf.heads.linear is not a Head: name a subclass of lightning_clf.h"),
        ("lightning_clf.losses.MSELoss", r"lightning_clf.losses.MSELoss is not a Head"),
        ("os.system", r"os.system is not a Head"),
    ],
)
def test_a_class_that_is_none_of_ours(path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_class(path, Head)


def test_a_component_of_another_base_is_refused() -> None:
    assert import_class("lightning_clf.heads.linear.MLPHead", LinearHead) is MLPHead
    with pytest.raises(
        InputError, match=r"LinearHead is not a Loss: name a subclass of lightning_clf.losses.base.Loss"
    ):
        from_spec(LinearHead().spec(), Loss)
