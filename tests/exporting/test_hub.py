"""An export pushed to a hub: a server on this machine that speaks the few words it takes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.process


class Hub(BaseHTTPRequestHandler):
    """Takes every file as a regular one, in the commit itself."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer({"id": "someone/model", "sha": "0" * 40, "siblings": []})

    def do_POST(self):
        body = self._body()
        server = self.server
        server.seen.append((self.path, self.headers.get("Authorization"), body))
        host = f"http://127.0.0.1:{server.server_port}"
        if server.refuses:
            self._answer({"error": "no such right"}, 403)
        elif self.path.endswith("/repos/create"):
            self._answer({"url": f"{host}/someone/model", "name": "someone/model", "id": "1"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            self._answer({"files": modes})
        elif "/commit/" in self.path:
            self._answer({"commitUrl": f"{host}/someone/model/commit/{'1' * 40}", "commitOid": "1" * 40})
        else:
            self._answer({"errors": [], "warnings": []})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, content: dict, status: int = 200) -> None:
        payload = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.seen, server.refuses = [], False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def push(port: int, model: str, target: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, whose only hub is this one."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_madeup",
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(target.parent / "home"),
    }  # fmt: skip
    words = ["export", "--model", model, "--format", "hf", "--output", str(target), "--push-to-hub", "someone/model"]
    command = [sys.executable, "-m", "lightning_clf", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_folder_is_uploaded_as_it_is(hub, model, tmp_path):
    done = push(hub.server_port, model("single"), tmp_path / "new")
    assert done.returncode == 0, done.stderr
    assert f"pushed to http://127.0.0.1:{hub.server_port}/someone/model" in done.stdout
    assert {authorization for _, authorization, _ in hub.seen} == {"Bearer hf_madeup"}
    created = next(json.loads(body) for path, _, body in hub.seen if path.endswith("/repos/create"))
    assert (created["visibility"], created["name"], created["organization"]) == ("private", "model", "someone")
    (commit,) = [body for path, _, body in hub.seen if "/commit/main" in path]
    entries = [json.loads(line) for line in commit.splitlines()]
    files = {
        entry["value"]["path"]: base64.b64decode(entry["value"]["content"])
        for entry in entries
        if entry["key"] == "file"
    }
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}


def test_a_refusal_is_said_in_one_line_and_the_folder_stands(hub, model, tmp_path):
    hub.refuses = True
    done = push(hub.server_port, model("single"), tmp_path / "new")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: someone/model could not be pushed (")
    assert "Traceback" not in done.stderr
    assert (tmp_path / "new" / "model.safetensors").is_file()
