"""What a user reads is one line, whatever is in the data that it quotes."""

from __future__ import annotations

import warnings

import pytest

from lightning_clf.cli.quiet import plain_warnings
from lightning_clf.errors import InputError
from lightning_clf.examine import Finding

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
