"""Where a model made of another may not be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_clf.artefact import SIDECAR
from lightning_clf.inference.target import check_beside, check_target
from tests.training import complaint


@pytest.mark.parametrize("target", [".", "..", "new/..", "/"])
def test_a_folder_needs_a_name(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = complaint(lambda: check_target("model", target))
    assert message == f"output {target} names no new folder: give it a name of its own, such as new-model"
    check_target("model", "./new/")


@pytest.mark.parametrize("model", ["several/one", "link", "several/one/best.ckpt"])
def test_a_folder_of_several_tasks_is_not_replaced_by_one_of_them(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "several" / "one").mkdir(parents=True)
    (tmp_path / "several" / SIDECAR).touch()
    (tmp_path / "link").symlink_to("several/one")
    message = complaint(lambda: check_target(model, "several"))
    assert message == (
        f"the new model would replace folder several, which holds the one it is made of, {model}, and what lies beside "
        "that: give another --output"
    )
    check_target(model, "several-2")


@pytest.mark.parametrize("file", ["new", "new/", "new/replies.jsonl", "new/../new/x", "link/replies.jsonl"])
def test_a_file_that_a_folder_would_replace(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("new")
    message = complaint(lambda: check_beside(file, "--replies", "new"))
    assert message == f"--replies {file} would be lost, as new is replaced at the end: name a file beside it"
    for beside in ("new.replies.jsonl", "other/new", "new/../replies.jsonl"):
        check_beside(beside, "--replies", "new/")
