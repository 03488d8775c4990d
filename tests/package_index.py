"""A package index on the loopback, with wheels made on the spot: what pip and uv ask, and what a bad mirror sends."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

BACKEND = '''
import zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "vigil-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        info = "vigil-0.1.0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: vigil\\nVersion: 0.1.0\\n")
        wheel.writestr(info + "WHEEL", """%s""")
        wheel.writestr(info + "RECORD", "")
    return name
'''
"""A build backend that makes an editable install of nothing."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A folder of wheels and the address of its simple index; `advertises` puts their digests into the pages."""

    folder: Path
    url: str
    advertises: bool = False

    def add(self, name: str, version: str, code: str = "") -> str:
        """Puts a wheel with one module into the index; returns its pin with its hash, as a lock file has it."""
        module = name.replace("-", "_")
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        wheel = folder / f"{module}-{version}-py3-none-any.whl"
        info = f"{module}-{version}.dist-info"
        files = {
            f"{module}.py": code,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": WHEEL,
        }
        record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
        with zipfile.ZipFile(wheel, "w") as archive:
            for file, text in (files | {f"{info}/RECORD": record}).items():
                archive.writestr(zipfile.ZipInfo(file, (2020, 1, 1, 0, 0, 0)), text)
        (folder / "index.html").write_text("\n".join(self._link(path) for path in sorted(folder.glob("*.whl"))))
        return f"{name}=={version} \\\n    --hash=sha256:{_sha256(wheel)}\n"

    def _link(self, wheel: Path) -> str:
        mark = f"#sha256={_sha256(wheel)}" if self.advertises else ""
        return f'<a href="{wheel.name}{mark}">{wheel.name}</a>'

    def alter(self, name: str) -> None:
        """Changes one byte of a module in the wheel that is there: what a bad mirror would send."""
        wheel = next((self.folder / name).glob("*.whl"))
        version = wheel.name.split("-")[1]
        with zipfile.ZipFile(wheel) as archive:
            code = archive.read(f"{name.replace('-', '_')}.py").decode()
        self.add(name, version, f"{code}#")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def serving_index(folder: Path, *, advertises: bool = False) -> Iterator[Index]:
    """Serves a folder as a package index for the time of a test."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Index(folder=folder, url=f"http://127.0.0.1:{server.server_port}/", advertises=advertises)
        finally:
            server.shutdown()
            thread.join()


def backend() -> str:
    """The code of a build backend, for `Index.add`."""
    return BACKEND % WHEEL
