"""Prompts in files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from lightning_clf.errors import InputError
from lightning_clf.language_models.template import Template

GUIDE = (Path(__file__).parents[2] / "docs" / "augment.md").read_text(encoding="utf-8")


def test_fields_are_replaced_once_and_by_text_alone():
    template = Template('{label} {labels} {text.upper()} {0} {{text}} {"texts": []} {text}')
    assert template.fill(label="{text}", text="{label} {labels}") == (
        '{text} {labels} {text.upper()} {0} {{label} {labels}} {"texts": []} {label} {labels}'
    )


def test_a_file_of_ones_own(tmp_path):
    (tmp_path / "prompt.txt").write_text("\ufeffWrite of {label}.\n", encoding="utf-8")
    template = Template.read(str(tmp_path / "prompt.txt"), "rows.txt", "label")
    assert template.content == "Write of {label}."
    assert template.digest == hashlib.sha256(b"Write of {label}.").hexdigest()


def test_a_file_that_is_no_prompt(tmp_path):
    path = tmp_path / "prompt.txt"
    with pytest.raises(InputError, match="cannot be read"):
        Template.read(str(path), "rows.txt", "label")
    path.write_bytes(b"\xff{label}")
    with pytest.raises(InputError, match=r"is not UTF-8 \(byte 1\)"):
        Template.read(str(path), "rows.txt", "label")
    path.write_text("Write of labels.")
    with pytest.raises(InputError, match=r"has no field \{label\}"):
        Template.read(str(path), "rows.txt", "label")


@pytest.mark.parametrize(
    ("shipped", "needed"), [("rows.txt", "label"), ("one_label.txt", "text"), ("many_labels.txt", "text")]
)
def test_what_is_shipped_can_be_read_and_the_first_is_in_the_guide(shipped, needed):
    template = Template.read(None, shipped, needed)
    shown = re.findall(r"```text\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert shipped != "rows.txt" or template.content in [block.strip() for block in shown]
