"""A hub on this machine: what is committed to it is there afterwards, large files by way of a storage of their own."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = (".safetensors", ".onnx")


class Hub(ThreadingHTTPServer):
    """Speaks what `huggingface_hub` says to make a repository, to commit, and to upload what Git LFS holds.

    Args:
        part: Bytes that a large file is uploaded in at a time; `None` takes all at once.

    Attributes:
        seen: Path, authorization and body of every request, in order.
        files: What is committed, by path.
        stored: What is uploaded and confirmed, by its sha256.
        refuses: A part of the paths that are refused.
    """

    def __init__(self, part: int | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.part = part
        self.seen: list[tuple[str, str | None, bytes]] = []
        self.files: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}
        self.parts: dict[tuple[str, int], bytes] = {}
        self.refuses: str | None = None

    def offer(self, oid: str, size: int) -> dict:
        """Where to upload an object to, unless it is there already."""
        if oid in self.stored:
            return {"oid": oid, "size": size}
        if self.part is None:
            upload = {"href": f"{self.url}/storage/{oid}/1"}
            verify = {"href": f"{self.url}/someone/model.git/info/lfs/verify"}
            return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}}
        parts = {f"{n:05}": f"{self.url}/storage/{oid}/{n}" for n in range(1, math.ceil(size / self.part) + 1)}
        upload = {"href": f"{self.url}/complete/{oid}", "header": {"chunk_size": str(self.part), **parts}}
        return {"oid": oid, "size": size, "actions": {"upload": upload}}

    def complete(self, oid: str, count: int) -> bool:
        """Put an object's parts together; whether they are what was announced."""
        content = b"".join(self.parts.pop((oid, number), b"") for number in range(1, count + 1))
        if hashlib.sha256(content).hexdigest() != oid:
            return False
        self.stored[oid] = content
        return True

    def commit(self, entries: list[dict]) -> bool:
        """Take all files of a commit, or none; whether the large ones are there."""
        files, deleted = {}, set()
        for entry in entries:
            value = entry["value"]
            if entry["key"] == "deletedFile":
                deleted.add(value["path"])
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                if len(self.stored.get(value["oid"], b"")) != value["size"]:
                    return False
                files[value["path"]] = self.stored[value["oid"]]
        self.files = {path: content for path, content in self.files.items() if path not in deleted} | files
        return True


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_):
        pass

    def do_GET(self):
        if "/tree/" in self.path:
            files = self.server.files.items()
            self._answer([{"type": "file", "path": path, "size": len(body), "oid": "1" * 40} for path, body in files])
        else:
            self._answer({"id": "someone/model", "sha": "0" * 40, "siblings": []})

    def do_PUT(self):
        body = self._body()
        if self._is_refused(body):
            return
        _, _, oid, number = self.path.split("/")
        self.server.parts[oid, int(number)] = body
        self._answer({}, headers={"ETag": f'"{number}"'})

    def do_POST(self):
        body, hub = self._body(), self.server
        if self._is_refused(body):
            return
        if self.path.endswith("/repos/create"):
            self._answer({"url": f"{hub.url}/someone/model", "name": "someone/model", "id": "1"})
        elif "/preupload/" in self.path:
            self._answer({"files": [_mode(file["path"]) for file in json.loads(body)["files"]]})
        elif self.path.endswith("/objects/batch"):
            objects = [hub.offer(wanted["oid"], wanted["size"]) for wanted in json.loads(body)["objects"]]
            self._answer({"transfer": "basic" if hub.part is None else "multipart", "objects": objects})
        elif self.path.endswith("/verify") or self.path.startswith("/complete/"):
            told = json.loads(body)
            self._answer_if(hub.complete(told["oid"], len(told.get("parts", [None]))), {})
        elif "/commit/" in self.path:
            done = hub.commit([json.loads(line) for line in body.splitlines()])
            self._answer_if(done, {"commitUrl": f"{hub.url}/someone/model/commit/{'1' * 40}", "commitOid": "1" * 40})
        else:
            self._answer({"errors": [], "warnings": []})

    def _is_refused(self, body: bytes) -> bool:
        self.server.seen.append((self.path, self.headers.get("Authorization"), body))
        refused = self.server.refuses is not None and self.server.refuses in self.path
        if refused:
            self._answer({}, 403, {"X-Error-Message": "no such right"})
        return refused

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer_if(self, done: bool, content: dict) -> None:
        self._answer(content if done else {"error": "not what was announced"}, 200 if done else 422)

    def _answer(self, content: dict | list, status: int = 200, headers: dict[str, str] | None = None) -> None:
        payload = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def _mode(path: str) -> dict:
    return {"path": path, "uploadMode": "lfs" if path.endswith(LARGE) else "regular", "shouldIgnore": False}
