"""The server's key: from the environment, or from a file that is made at the first start and never tracked.

It reaches vLLM through the environment, so no `ps` shows it, and nothing here logs it.
"""

import logging
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from vigil.errors import UsageError
from vigil.judge.endpoint import KEY_FILE, KEY_VARIABLE, read_key

log = logging.getLogger(__name__)

VLLM_KEY_VARIABLE = "VLLM_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """The key and, for people, where it is: a path or a `$VARIABLE`; the value is never shown."""

    value: str = field(repr=False)
    origin: str

    @property
    def shell(self) -> str:
        """What a shell command writes to have the key, without showing it."""
        return self.origin if self.origin.startswith("$") else f"$(cat {self.origin})"


def find_server_key(key_file: Path | None = None, *, make: bool = True) -> ServerKey:
    """The key to serve with: the named file, `$VIGIL_API_KEY`, `$VLLM_API_KEY`, or `.vigil/key`.

    A file that is missing is made, or with `make=False` only named, with an empty key.
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
            raise UsageError(f"{path.parent} is no folder for a key; name another file with --key-file") from None
        return  # Another server, started at the same moment, has made it.
    except OSError as error:
        raise UsageError(
            f"the key file {path} cannot be made: {error.strerror}; set ${KEY_VARIABLE} or name another with --key-file"
        ) from error
    log.info("made a key for this server: %s", path)
