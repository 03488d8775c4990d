"""Hugging Face and ModelScope in small, on the loopback: the routes by which their own packages fetch a model."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

MODEL = "Owner/tiny-model"


@dataclass
class FakeHub:
    """A hub with one model: each revision has its files; `told` are digests it tells in place of the true ones."""

    url: str
    revisions: dict[str, dict[str, bytes]] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def commit(self, revision: str) -> str:
        """The forty digits of a revision, which it may be asked for by, too."""
        known = [name for name in self.revisions if revision in (name, self._digits(name))]
        return self._digits(known[0]) if known else ""

    def files(self, revision: str) -> dict[str, bytes] | None:
        """What a revision holds; None where there is no such."""
        return next((files for name, files in self.revisions.items() if revision in (name, self._digits(name))), None)

    def sha256(self, name: str, content: bytes) -> str:
        """The digest that the hub tells of a file."""
        return self.told.get(name) or hashlib.sha256(content).hexdigest()

    def _digits(self, name: str) -> str:
        content = b"".join(self.revisions[name].values())
        return hashlib.sha1(name.encode() + content).hexdigest()

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a GET; a HEAD gets the same without the body."""
        if path == f"/api/v1/models/{MODEL}/repo/files":
            return self._modelscope_listing(query["Revision"][0])
        if path == f"/api/v1/models/{MODEL}/repo":
            return self._file(query["Revision"][0], query["FilePath"][0])
        if path.startswith(f"/api/models/{MODEL}/"):
            kind, revision = path.removeprefix(f"/api/models/{MODEL}/").split("/")[:2]
            return self._huggingface_listing(kind, revision)
        if path.startswith(f"/{MODEL}/resolve/"):
            revision, _, name = path.removeprefix(f"/{MODEL}/resolve/").partition("/")
            return self._file(revision, name)
        return 404, {}, b"{}"

    def _modelscope_listing(self, revision: str) -> tuple[int, dict[str, str], bytes]:
        files = self.files(revision)
        if files is None:
            return 404, {}, json.dumps({"Code": 10010205001, "Success": False, "Message": "no such revision"}).encode()
        listing = [
            {"Path": name, "Name": name, "Type": "blob", "Size": len(data), "Sha256": self.sha256(name, data)}
            for name, data in files.items()
        ]
        return 200, {}, _json({"Code": 200, "Success": True, "Data": {"Files": listing}})

    def _huggingface_listing(self, kind: str, revision: str) -> tuple[int, dict[str, str], bytes]:
        files = self.files(revision)
        if files is None:
            return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "no such revision"}, b"{}"
        if kind == "tree":
            return 200, {}, _json([self._entry(name, data) for name, data in files.items()])
        siblings = [
            {"rfilename": name, "size": len(data), "blobId": _blob(data), "lfs": self._lfs(name, data)}
            for name, data in files.items()
        ]
        return 200, {}, _json({"id": MODEL, "sha": self.commit(revision), "siblings": siblings, "private": False})

    def _entry(self, name: str, data: bytes) -> dict[str, Any]:
        entry = {"type": "file", "path": name, "size": len(data), "oid": _blob(data)}
        lfs = self._lfs(name, data)
        return entry | ({"lfs": {"oid": lfs["sha256"], "size": len(data), "pointerSize": 100}} if lfs else {})

    def _lfs(self, name: str, data: bytes) -> dict[str, Any] | None:
        if not name.endswith(".safetensors"):
            return None
        return {"sha256": self.sha256(name, data), "size": len(data), "pointerSize": 100}

    def _file(self, revision: str, name: str) -> tuple[int, dict[str, str], bytes]:
        data = (self.files(revision) or {}).get(name)
        if data is None:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        return 200, {"ETag": f'"{_blob(data)}"', "X-Repo-Commit": self.commit(revision)}, data


def _json(data: object) -> bytes:
    return json.dumps(data).encode()


def _blob(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@contextmanager
def serving_hub() -> Iterator[FakeHub]:
    """Serves the hub for the time of a test."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            hub.asked.append(f"{self.command} {self.path}")
            status, headers, body = hub.answer(unquote(split.path), parse_qs(split.query))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub = FakeHub(url=f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
