"""What a user reads is one line, whatever is in the data that it quotes."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from lightning_clf.cli.quiet import plain_warnings
from lightning_clf.errors import InputError, check_number
from lightning_clf.examine import Finding
from tests.training import complaint

QUOTED = [
    ("größe, “x” … 你好 🙂", "größe, “x” … 你好 🙂"),
    ("a\nb\r\n\tc", r"a\nb\r\n\tc"),
    ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
    ("a\u2028b\x85c\ud800", r"a\u2028b\x85c\ud800"),
]


@pytest.mark.parametrize(("label", "shown"), QUOTED)
def test_a_message_is_one_line_and_no_command_to_a_terminal(label, shown, capsys):
    said = f"label {label} is unknown"
    expected = f"label {shown} is unknown"
    assert str(InputError(said)) == expected
    assert str(InputError(str(InputError(said)))) == expected
    assert str(Finding("error", "labels", said, said)) == f"error    labels: {expected}: {expected}"
    with plain_warnings():
        warnings.warn(said, stacklevel=1)
    assert capsys.readouterr().err == f"warning: {expected}\n"


@pytest.mark.parametrize(("value", "bounds", "said"), [
    ("5e-5", {"above": 0}, "key is '5e-5', which is no number: give a number above 0"),
    (True, {"least": 1, "whole": True}, "key is True, which is no whole number: give 1 or more"),
    (False, {"least": 0}, "key is False, which is no number: give 0 or more"),
    (None, {"least": 0, "most": 1}, "key is None, which is no number: give a number from 0 to 1"),
    ([1], {}, "key is [1], which is no number: give one that is finite"),
    (2.5, {"least": 1, "whole": True}, "key is 2.5, which is no whole number: give 1 or more"),
    (2.0, {"least": 1, "whole": True}, "key is 2.0, which is no whole number: give 1 or more"),
    (math.nan, {"least": 1, "whole": True}, "key is nan, which is no whole number: give 1 or more"),
    (0, {"least": 1, "whole": True}, "key is 0: give 1 or more"),
    (math.nan, {}, "key is nan: give one that is finite"),
    (1.5, {"least": 0, "most": 1}, "key is 1.5: give a number from 0 to 1"),
])  # fmt: skip
def test_what_is_no_number_within_bounds_is_refused(value, bounds, said):
    assert complaint(lambda: check_number("key", value, **bounds)) == said


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_a_whole_number_is_of_python_or_numpy_and_becomes_pythons(value):
    number = check_number("key", value, least=1, most=3, whole=True)
    assert (number, type(number)) == (3, int)


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), np.float64(0.5), np.int32(1)])
def test_a_number_is_whole_or_not_and_becomes_pythons(value):
    number = check_number("key", value, above=0, most=1)
    assert (number, type(number)) == (value, int if value == 1 else float)
