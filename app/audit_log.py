"""The audit log: who signed in, was refused, or changed something that others see, when and from where.

Lines go to the logger `vigil.audit`. `keep_in(folder)` also writes them to `audit.log` there, readable by its owner
only and rotated: at most `FILES` files of `FILE_BYTES` each.
"""

import io
import logging
import os
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path

from vigil.errors import UsageError, VigilError
from vigil.files import explain_os_error
from vigil.store.audit import AuditTable

log = logging.getLogger("vigil.audit")

FILE_NAME = "audit.log"
FILE_BYTES = 5_000_000
FILES = 5
LONGEST = 160
MAX_PAIRS = 1024
"""The maximum number of pairs of user and address that `FirstOfMany` keeps."""

OF_STRANGERS = frozenset({"sign-in refused", "too many sign-ins", "key refused"})
STOPS_WITHIN_S = 10.0

QUIET_S = 60.0
"""`RareWarning` logs at most once in this time, so that repeated attempts do not fill the log."""


class _PrivateFile(RotatingFileHandler):
    """A rotating file that only its owner can read, whatever the umask."""

    def _open(self) -> io.TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        return io.TextIOWrapper(os.fdopen(handle, "ab"), encoding="utf-8", write_through=True)


def keep_in(folder: Path) -> Path:
    """Writes the audit log to a file in this folder from now on; returns its path. Raises UsageError."""
    path = folder / FILE_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _PrivateFile(path, maxBytes=FILE_BYTES, backupCount=FILES - 1)
    except OSError as error:
        raise UsageError(f"the audit log cannot be written: {explain_os_error(error, path)}") from error
    formatter = logging.Formatter("%(asctime)sZ %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    return path


def record(act: str, **details: str) -> None:
    """Logs an act. Details come from visitors, so each is quoted, escaped and truncated."""
    told = " ".join(f"{name}={_quoted(value)}" for name, value in details.items())
    log.info("%s %s", act, told, extra={"vigil_act": act, "vigil_details": details})


class StoredActs(logging.Handler):
    """Also writes the acts of users and keys to a store's audit table, in a thread of its own, until `stop`.

    Failed attempts of strangers stay in the log alone: they would fill the table.
    """

    def __init__(self, table: AuditTable) -> None:
        super().__init__()
        self._table = table
        self._acts: queue.SimpleQueue[tuple[str, dict[str, str]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()
        log.addHandler(self)
        log.setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        act = getattr(record, "vigil_act", "")
        if act and act not in OF_STRANGERS:
            self._acts.put((act, dict(getattr(record, "vigil_details", {}))))

    def stop(self) -> None:
        """Writes what is left, and ends the thread. It is not `close`, which uvicorn calls when it sets up its logs."""
        log.removeHandler(self)
        self._acts.put(None)
        self._thread.join(STOPS_WITHIN_S)

    def _write(self) -> None:
        while (told := self._acts.get()) is not None:
            act, details = told
            who, address = details.pop("user", ""), details.pop("address", "")
            shown = {name: value[:LONGEST] for name, value in details.items()}
            try:
                self._table.add(act, who=who[:LONGEST], address=address, details=shown)
            except VigilError as error:
                logging.getLogger(__name__).warning("%r is in the audit log alone: %s", act, error)


def _quoted(value: str) -> str:
    shown = value if len(value) <= LONGEST else f"{value[:LONGEST]}..."
    return ascii(shown) if not shown.isprintable() or '"' in shown else f'"{shown}"'


def is_told(allowed: logging.Filter) -> Callable[[logging.LogRecord], bool]:
    """A filter for the terminal: audit records must pass `allowed`, all others pass. The file is not filtered."""

    def passes(record: logging.LogRecord) -> bool:
        return record.name != log.name or bool(allowed.filter(record))

    return passes


class FirstOfMany:
    """Logs an act that comes with every request, such as HTTP Basic, once in `again_s` per user and address."""

    def __init__(self, *, again_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._again_s = again_s
        self._clock = clock
        self._logged_s: OrderedDict[tuple[str, str], float] = OrderedDict()

    def say(self, act: str, *, user: str, address: str) -> None:
        """Logs the act, unless it was logged for this user and address within `again_s`."""
        now_s, who = self._clock(), (user, address)
        if now_s - self._logged_s.get(who, -float("inf")) < self._again_s:
            return
        self._logged_s[who] = now_s
        self._logged_s.move_to_end(who)
        if len(self._logged_s) > MAX_PAIRS:
            self._logged_s.popitem(last=False)
        record(act, user=user, address=address)


class RareWarning:
    """Logs an act at once, then at most every `QUIET_S`, with the number of times it was suppressed."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_s = -float("inf")
        self._kept_back = 0
        self._lock = threading.Lock()

    def say(self, act: str, **details: str) -> None:
        """Logs the act, or counts it if one was logged within `QUIET_S`."""
        with self._lock:
            now_s = self._clock()
            if now_s < self._next_s:
                self._kept_back += 1
                return
            more = {"before_that": str(self._kept_back)} if self._kept_back else {}
            self._next_s, self._kept_back = now_s + QUIET_S, 0
        record(act, **details, **more)
