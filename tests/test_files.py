"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_clf.errors import InputError
from lightning_clf.files import check_apart, check_model, write_atomically, write_bytes_atomically, write_folder


def write(path: Path, text: str, error: BaseException | None = None) -> None:
    """Write a file, and fail midway if there is an error to raise."""
    with write_atomically(path) as file:
        file.write(text)
        file.flush()
        if error:
            raise error


def test_a_file_appears_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "file.txt"
    with write_atomically(path) as file:
        file.write("größer\r\n")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == "größer\r\n".encode()  # line ends as written
    assert os.listdir(path.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_no_folder_that_was_made_for_the_file(
    tmp_path: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "new" / "deep" / "file.txt", Path("new") / "file.txt", tmp_path / "old" / "new" / "x"):
        with pytest.raises(error, match="midway"):
            write(path, "some", error("midway"))
        assert [*tmp_path.rglob("*")] == [tmp_path / "old"]


def test_a_folder_that_another_has_put_something_in_meanwhile_stays(tmp_path: Path) -> None:
    def write_both() -> None:
        with write_atomically(tmp_path / "a" / "b" / "file.txt"):
            (tmp_path / "a" / "other").touch()
            raise ValueError("midway")

    with pytest.raises(ValueError, match="midway"):
        write_both()
    assert os.listdir(tmp_path / "a") == ["other"]


def test_a_place_too_deep_leaves_none_of_its_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "new" / ("x" * 300) / "y", "some")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error, match="midway"):
        write(path, "new", error("midway"))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_disk_that_fills(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    message = f"{path} cannot be written (No space left on device): choose another place"
    with pytest.raises(InputError) as caught:
        write(path, "some", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert str(caught.value) == message
    assert os.listdir(tmp_path) == []


def test_a_device_is_written_to_and_may_be_full(tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"link cannot be written \(No space left on device\)"):
        write(path, "some")
    assert stat.S_ISCHR(path.stat().st_mode)


@pytest.mark.parametrize("place", ["file.txt/below/it", "file.txt/below", ".", "folder", "x" * 300, f"{'x' * 300}/y"])
def test_a_place_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "file.txt").write_text("old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot be written \(.+\): choose another place"):
        write(tmp_path / place, "new")
    assert (tmp_path / "file.txt").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["file.txt", "folder"]


def write_bytes(path: Path, text: str) -> None:
    with write_bytes_atomically(path) as file:
        file.write(text.encode())


@pytest.mark.parametrize("write", [write, write_bytes])
def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(path.read_text()), daemon=True)
    reader.start()
    write(path, "through")
    reader.join(timeout=10)
    assert received == ["through"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_what_a_folder_holds_may_be_read_and_entered_by_whom_what_is_new_may_be(tmp_path: Path) -> None:
    with write_folder(tmp_path / "new") as folder:
        (folder / "encoder").mkdir()
        for name in ("head", "encoder/model"):
            (folder / name).touch(0o600)  # as safetensors writes weights
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "new").rglob("*"):
        like = tmp_path / ("folder" if path.is_dir() else "file")
        assert path.stat().st_mode == like.stat().st_mode, path


@pytest.mark.parametrize("name", ["rows", "./rows", "link", "folder/../rows"])
def test_a_file_that_is_another_by_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("rows")
    with pytest.raises(InputError) as caught:
        check_apart("--replies", name, [None, "-", "rows"])
    assert str(caught.value) == f"--replies would write {name}, which is read or written too: name another file"
    check_apart("--replies", "other", [None, "-", "rows"])


def write_into(folder: Path, text: str = "new", error: BaseException | None = None) -> None:
    with write_folder(folder) as draft:
        (draft / "below").mkdir()
        (draft / "below" / "model").write_text(text)
        if error:
            raise error


def test_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []
    sync, rename = os.fsync, Path.rename

    def note_sync(descriptor: int) -> None:
        done.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))
        sync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        done.append(("rename", target.name))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    write_into(tmp_path / "best")
    draft = f".best.{os.getpid()}.writing"
    assert sorted(done[:3]) == [("sync", draft), ("sync", "below"), ("sync", "model")]
    assert done[2:] == [("sync", draft), ("rename", "best"), ("sync", tmp_path.name)]


def test_what_stood_there_is_told_of_and_kept_after_a_kill_between_two_names(tmp_path: Path) -> None:
    final, old = tmp_path / "best", tmp_path / ".best.old"
    write_into(final, "before")
    final.rename(old)  # as far as the killed process came
    for path in (final, final / "below"):
        with pytest.raises(InputError) as caught:
            check_model(path)
        assert str(caught.value) == (
            f"model {path} does not exist, as a process was killed that was replacing it, and {old} holds what it was: "
            f"rename that to {final}"
        )
    with pytest.raises(ValueError, match="midway"):
        write_into(final, "new", ValueError("midway"))
    assert (old / "below" / "model").read_text() == "before"
    write_into(final)
    assert (final / "below" / "model").read_text() == "new"
    assert os.listdir(tmp_path) == ["best"]
    check_model(final)
    with pytest.raises(InputError, match="other does not exist: give a"):
        check_model(tmp_path / "other")


def test_of_a_link_to_a_folder_it_is_the_folder_that_is_replaced(tmp_path: Path) -> None:
    write_into(tmp_path / "store" / "one", "before")
    (tmp_path / "best").symlink_to("store/one")
    write_into(tmp_path / "best")
    assert (tmp_path / "best").readlink() == Path("store/one")
    assert (tmp_path / "store" / "one" / "below" / "model").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["best", "store"]
    assert os.listdir(tmp_path / "store") == ["one"]


def test_what_killed_processes_were_writing_is_removed_and_that_of_others_is_not(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    kept = [
        ".best.1.writing",
        ".best.x.writing",
        f".other.{ended.pid}.writing",
    ]  # a process that always is, and no drafts
    for name in (*kept, f".best.{ended.pid}.writing"):
        (tmp_path / name / "below").mkdir(parents=True)
    (tmp_path / f".[a].{ended.pid}.writing").touch()
    write_into(tmp_path / "best")
    write(tmp_path / "[a]", "new")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "best", "[a]"])
