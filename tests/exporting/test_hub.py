"""An export pushed to a hub on this machine, weights by way of its storage for large files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lightning_clf.heads import LinearHead
from tests.exporting.hub import Hub

pytestmark = pytest.mark.process
PART = 10_000


@pytest.fixture
def start() -> Iterator[Callable[..., Hub]]:
    """Start a hub, with the options of `Hub`."""
    hubs = []

    def run(*options: int) -> Hub:
        hubs.append(Hub(*options))
        threading.Thread(target=hubs[-1].serve_forever, daemon=True).start()
        return hubs[-1]

    yield run
    for hub in hubs:
        hub.shutdown()
        hub.server_close()


def push(hub: Hub, model: str, target: Path, format: str = "hf") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, whose only hub is this one."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_madeup",
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(target.parent / "home"),
    }  # fmt: skip
    words = ["export", "--model", model, "--format", format, "--output", str(target), "--push-to-hub", "someone/model"]
    command = [sys.executable, "-m", "lightning_clf", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("format", "part", "large"),
    [
        ("hf", None, {"head.safetensors", "encoder/model.safetensors"}),
        ("hf", PART, {"head.safetensors", "encoder/model.safetensors"}),
        ("onnx", None, {"head.safetensors", "model.onnx"}),
    ],
)
def test_the_folder_is_uploaded_as_it_is(format, part, large, start, model, tmp_path):
    hub = start(part)
    done = push(hub, model("single", "bert", LinearHead()), tmp_path / "new", format)
    assert done.returncode == 0, done.stderr
    assert f"pushed to {hub.url}/someone/model" in done.stdout
    asked = {authorization for path, authorization, _ in hub.seen if "/api/" in path or "/lfs/" in path}
    assert asked == {"Bearer hf_madeup"}
    created = next(json.loads(body) for path, _, body in hub.seen if path.endswith("/repos/create"))
    assert (created["visibility"], created["name"], created["organization"]) == ("private", "model", "someone")
    assert hub.files == contents(tmp_path / "new")
    # weights are in no commit: their bytes went to the storage, in as many parts as it asked for
    assert {hashlib.sha256(hub.files[name]).hexdigest() for name in large} == set(hub.stored)
    puts = [body for path, _, body in hub.seen if path.startswith("/storage/")]
    assert sum(map(len, puts)) == sum(len(hub.files[name]) for name in large)
    assert (len(puts) > len(large)) == (part is not None)
    (commit,) = [body for path, _, body in hub.seen if "/commit/main" in path]
    entries = [json.loads(line) for line in commit.splitlines()]
    assert {entry["value"]["path"] for entry in entries if entry["key"] == "lfsFile"} == large


def test_another_format_takes_the_place_of_what_was_pushed_before(start, model, tmp_path):
    hub, made = start(), model("single", "bert", LinearHead())
    for number, format in enumerate(("onnx", "hf", "onnx")):
        hub.files["LICENSE"] = b"of the repository's owner"
        done = push(hub, made, tmp_path / f"{number}", format)
        assert done.returncode == 0, done.stderr
        assert hub.files == {**contents(tmp_path / f"{number}"), "LICENSE": b"of the repository's owner"}


@pytest.mark.parametrize("refuses", ["/api/", "/storage/", "/commit/"])
def test_a_refusal_is_said_in_one_line_and_the_folder_stands(refuses, start, model, tmp_path):
    hub = start()
    hub.refuses = refuses
    done = push(hub, model("single"), tmp_path / "new")
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]  # after whatever a progress bar wrote
    assert line.startswith("error: someone/model could not be pushed (")
    assert "403 Forbidden: no such right" in line
    assert "Traceback" not in done.stderr
    assert hub.files == {}
    assert (tmp_path / "new" / "model.safetensors").is_file()
