"""Where to ask: an OpenAI-compatible address, a model, and a key that is never shown; and the key to serve with.

A client's key comes from a file, from `$VIGIL_API_KEY` or `$VLLM_API_KEY`, or from `.vigil/key`, which is used for
servers on this machine only. A server's key comes from the same places; `.vigil/key` is created at its first start and
is not tracked. The key reaches vLLM through the environment, so `ps` does not show it, and it is never logged.
"""

import logging
import os
import secrets
import socket
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from vigil.errors import UsageError
from vigil.judge.certificates import tls_context

log = logging.getLogger(__name__)


DEFAULT_URL = "http://127.0.0.1:8000/v1"
KEY_VARIABLE = "VIGIL_API_KEY"
KEY_VARIABLES = (KEY_VARIABLE, "VLLM_API_KEY")
KEY_FILE = Path(".vigil/key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible server; `model` may be empty if it serves only one.

    `ca_file` holds certificates of authorities that are trusted in addition to the usual ones (docs/judge.md).
    """

    url: str = DEFAULT_URL
    model: str = ""
    api_key: str = field(default="", repr=False)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise UsageError(f"{self.url!r} is not the HTTP address of an endpoint, such as {DEFAULT_URL}")
        if parts.username or parts.password:
            raise UsageError("do not put the key into the address; use $VIGIL_API_KEY or --key-file")
        object.__setattr__(self, "url", _with_version(self.url))
        if self.is_encrypted:
            self.tls()

    @property
    def root(self) -> str:
        """The server's address without `/v1`, under which vLLM serves `/tokenize` and `/health`."""
        return self.url.removesuffix("/v1")

    @property
    def is_encrypted(self) -> bool:
        """Whether the address is https, so that there is a certificate to check."""
        return urlsplit(self.url).scheme == "https"

    def tls(self) -> ssl.SSLContext | Literal[False]:
        """The TLS context that every client uses; False if the address is not https. Raises UsageError."""
        return tls_context(self.ca_file) if self.is_encrypted else False


def _with_version(url: str) -> str:
    """Adds `/v1` to an address without a path."""
    url = url.rstrip("/")
    return url if urlsplit(url).path else f"{url}/v1"


def read_key(key_file: Path | None = None, *, url: str = DEFAULT_URL) -> str:
    """The key for the endpoint at `url`: a named file, then the environment, then `.vigil/key`; empty if there is none.

    `.vigil/key` is the key of this machine's own server and is never sent to another machine.
    """
    if key_file is not None:
        return _key_in(key_file)
    from_environment = next(filter(None, map(os.environ.get, KEY_VARIABLES)), "")
    if from_environment:
        return from_environment
    return _key_in(KEY_FILE) if KEY_FILE.is_file() and is_local(url) else ""


def is_local(url: str) -> bool:
    """Whether every address of a URL's host belongs to this machine."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return False
    return all(_is_own(family, address) for family, _, _, _, address in found)


def _is_own(family: int, address: tuple[Any, ...]) -> bool:
    """Whether the address belongs to this machine: only then can a socket be bound to it."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address[0], 0, *address[2:]))
    except OSError:
        return False
    return True


def _key_in(path: Path) -> str:
    try:
        key = path.read_text(encoding="utf-8").strip()
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            log.warning("other users can read the key file %s; run: chmod 600 %s", path, path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the key file {path} cannot be read: {error}") from error
    if not key or not key.isprintable() or " " in key:
        raise UsageError(f"the key file {path} must hold one key and nothing else")
    return key


VLLM_KEY_VARIABLE = "VLLM_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """The key and its origin for display, a path or a `$VARIABLE`; the value is never shown."""

    value: str = field(repr=False)
    origin: str

    @property
    def shell(self) -> str:
        """The shell expression that yields the key without showing it."""
        return self.origin if self.origin.startswith("$") else f"$(cat {self.origin})"


def find_server_key(key_file: Path | None = None, *, make: bool = True) -> ServerKey:
    """The key to serve with: the named file, `$VIGIL_API_KEY`, `$VLLM_API_KEY`, or `.vigil/key`.

    A missing file is created; with `make=False` it is only named, with an empty key.
    """
    if key_file is None:
        for variable in (KEY_VARIABLE, VLLM_KEY_VARIABLE):
            if value := os.environ.get(variable, ""):
                return ServerKey(value=value, origin=f"${variable}")
    path = key_file or KEY_FILE
    if not path.is_file():
        if not make:
            return ServerKey(value="", origin=str(path))
        _make(path)
    return ServerKey(value=read_key(path), origin=str(path))


def _make(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    except FileExistsError:
        if not path.is_file():
            raise UsageError(f"no key file can be created at {path}; name another with --key-file") from None
        return  # Another server that started at the same moment has created it.
    except OSError as error:
        raise UsageError(
            f"the key file {path} cannot be made: {error.strerror}; set ${KEY_VARIABLE} or name another with --key-file"
        ) from error
    log.info("made a key for this server: %s", path)
