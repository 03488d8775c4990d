"""Where the judge asks: an OpenAI-compatible address, a model, and a key that is never shown.

The key comes from a file, from `$VIGIL_API_KEY` or `$VLLM_API_KEY`, or from `.vigil/key`, which `vllm.sh` makes at its
first start and which is for this machine's own server only. Nobody else's endpoint is ever fallen back to.
"""

import logging
import os
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
    """An OpenAI-compatible server; `model` may stay empty when it serves only one.

    `ca_file` holds certificates of authorities that are trusted besides the usual ones (docs/judge.md).
    """

    url: str = DEFAULT_URL
    model: str = ""
    api_key: str = field(default="", repr=False)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise UsageError(f"{self.url!r} is no http address of an endpoint; it looks like {DEFAULT_URL}")
        if parts.username or parts.password:
            raise UsageError("keep the key out of the address: put it into $VIGIL_API_KEY or a --key-file")
        object.__setattr__(self, "url", _with_version(self.url))
        if self.is_encrypted:
            self.tls()

    @property
    def root(self) -> str:
        """The server's address without `/v1`, where vLLM keeps `/tokenize` and `/health`."""
        return self.url.removesuffix("/v1")

    @property
    def is_encrypted(self) -> bool:
        """Whether there is a certificate to check."""
        return urlsplit(self.url).scheme == "https"

    def tls(self) -> ssl.SSLContext | Literal[False]:
        """How every client checks its certificate; False where there is none to check. Raises UsageError."""
        return tls_context(self.ca_file) if self.is_encrypted else False


def _with_version(url: str) -> str:
    """Adds the `/v1` that people forget."""
    url = url.rstrip("/")
    return url if urlsplit(url).path else f"{url}/v1"


def read_key(key_file: Path | None = None, *, url: str = DEFAULT_URL) -> str:
    """The key for the endpoint at `url`: a named file, then the environment, then `.vigil/key`; empty for none.

    `.vigil/key` is that of this machine's own server, and goes to no other machine.
    """
    if key_file is not None:
        return _key_in(key_file)
    from_environment = next(filter(None, map(os.environ.get, KEY_VARIABLES)), "")
    if from_environment:
        return from_environment
    return _key_in(KEY_FILE) if KEY_FILE.is_file() and is_local(url) else ""


def is_local(url: str) -> bool:
    """Whether every address that the host of a URL stands for is one of this machine's."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return False
    return all(_is_own(family, address) for family, _, _, _, address in found)


def _is_own(family: int, address: tuple[Any, ...]) -> bool:
    """Only an address of its own can a machine listen at."""
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
            log.warning("others can read the key file %s; close it with: chmod 600 %s", path, path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the key file {path} cannot be read: {error}") from error
    if not key or not key.isprintable() or " " in key:
        raise UsageError(f"the key file {path} must hold one key and nothing else")
    return key
