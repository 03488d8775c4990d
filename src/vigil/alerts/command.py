"""Commands: a program that is run for each message, without a shell, within a time limit.

It gets the message as JSON on its input and its main fields in `VIGIL_*` variables. Of the environment it gets only
what programs need to run, so that no key or password of the watch reaches it.
"""

import asyncio
import json
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress

from vigil.alerts.message import AlertMessage
from vigil.alerts.settings import CommandSettings
from vigil.errors import DeliveryError, UsageError

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "TMPDIR", "XDG_RUNTIME_DIR")
LONGEST_OUTPUT = 300


class CommandSink:
    """Runs one command for each message."""

    def __init__(self, settings: CommandSettings) -> None:
        require_program(settings.argv[0])
        self._settings = settings

    async def send(self, message: AlertMessage) -> None:
        """Runs the command to its end; raises DeliveryError if it fails."""
        data = json.dumps(message.payload(language=self._settings.language), ensure_ascii=False).encode()
        variables = event_variables(message, language_text=message.text(self._settings.language))
        await run_program(self._settings.argv, data=data, variables=variables)

    async def close(self) -> None:
        """Nothing is open."""


def event_variables(message: AlertMessage, *, language_text: str) -> dict[str, str]:
    """The main fields of a message as environment variables; NUL characters are replaced."""
    event = message.event
    values = {
        "VIGIL_ID": message.id,
        "VIGIL_REVISION": str(message.revision),
        "VIGIL_KEY": message.key,
        "VIGIL_KIND": message.kind,
        "VIGIL_STATE": message.state,
        "VIGIL_EVENT": str(event["event"]),
        "VIGIL_CAMERA": message.camera.name,
        "VIGIL_CAMERA_ID": message.camera.id,
        "VIGIL_PLACE": message.camera.place,
        "VIGIL_TIER": str(event["tier"]),
        "VIGIL_PEAK": str(event["peak"]),
        "VIGIL_ONSET_UTC": str(event.get("onset_utc") or ""),
        "VIGIL_TEXT": language_text,
        "VIGIL_DURABLE": "1" if message.durable else "0",
        "VIGIL_SNAPSHOT": str(message.snapshot or ""),
        "VIGIL_CLIP": str(message.clip or ""),
    }
    return {name: _plain(value) for name, value in values.items()}


def _plain(text: str) -> str:
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def require_program(name: str, *, advice: str = "give its full path") -> str:
    """The path of a program; raises UsageError if it cannot be run."""
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"the program {name!r} of a sink is not there or cannot be run; {advice}")
    return found


async def run_program(argv: Sequence[str], *, data: bytes = b"", variables: Mapping[str, str] | None = None) -> None:
    """Runs a program to its end; when cancelled it is killed, with all that it started. Raises DeliveryError."""
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | dict(variables or {})
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=PIPE, stdout=DEVNULL, stderr=PIPE, env=environment, start_new_session=True
        )
    except OSError as error:
        raise DeliveryError(f"{argv[0]} cannot be run: {error.strerror}") from error
    try:
        _, said = await process.communicate(data)
    except BaseException:
        _kill(process)
        raise
    if process.returncode:
        last = said.decode(errors="replace").strip()[-LONGEST_OUTPUT:]
        raise DeliveryError(f"{argv[0]} ended with exit code {process.returncode}" + (f": {last}" if last else ""))


def _kill(process: Process) -> None:
    """Ends what is left of a program's process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
