"""A real PostgreSQL server for tests: a process of its own, on a free port, with a data folder of its own.

It is that of the system's packages (scripts/setup.sh services). As it refuses to run as root, root runs it as another
user. Data are not synced to the disk, since no test takes the power away.
"""

import os
import pwd
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from vigil.serving.server import free_port
from waiting import HANG_S, until

USERS = ("postgres", "nobody")
SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=60", "shared_buffers=32MB")
"""Without waiting for the disk; what is committed still survives a crash of the server, which tests bring about."""

MISSING = "no PostgreSQL server is installed, so nothing was tried on one: bash scripts/setup.sh services"


def find_programs() -> Path | None:
    """The folder of `postgres` and `initdb`, the newest if there are several; None if there is none."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    whole = [path for path in (*on_path, *packaged) if (path / "postgres").exists() and (path / "initdb").exists()]
    return whole[-1] if whole else None


class PostgresServer:
    """A server; `start` and `stop` may be called again and again, the data stay."""

    def __init__(self, folder: Path, *, settings: Sequence[str] = ()) -> None:
        programs = find_programs()
        assert programs is not None, MISSING
        self._programs = programs
        self._folder = folder
        self._settings = [*SETTINGS, *settings]
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count()
        self._user = next((name for name in USERS if _exists(name)), None) if os.getuid() == 0 else None
        self.port = free_port()
        if self._user:
            shutil.chown(folder, self._user)
        # The order of the words of a language, as most servers have it, not that of bytes.
        initdb = ["--auth=trust", "--username=vigil", "--encoding=UTF8", "--locale=C.UTF-8"]
        collation = ["--locale-provider=icu", "--icu-locale=en-US", "--no-sync"]
        made = self._begin("initdb", *initdb, *collation, "--pgdata", str(folder / "data"))
        assert made.wait(timeout=HANG_S) == 0, self.log()

    def start(self, *, most_bytes: int = resource.RLIM_INFINITY) -> None:
        """Starts the server and waits until it takes connections; no file of it grows beyond `most_bytes`."""
        flags = [word for setting in self._settings for word in ("-c", setting)]
        place = ["-D", str(self._folder / "data"), "-k", str(self._folder), "-h", "127.0.0.1", "-p", str(self.port)]
        self._process = self._begin("postgres", *place, *flags, most_bytes=most_bytes)
        until(self._answers)

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """Ends the server: SIGINT ends its connections first, SIGQUIT ends all at once, as a crash does."""
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(timeout=HANG_S)
        self._process = None

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"store_{next(self._numbers)}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://vigil@127.0.0.1:{self.port}/{name}"

    def log(self) -> str:
        """What the server has printed."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def _begin(self, program: str, *words: str, most_bytes: int = resource.RLIM_INFINITY) -> "subprocess.Popen[bytes]":
        own: dict[str, Any] = {}
        if self._user:
            own = {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": ()}
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._programs / program), *words],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY)),
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
                **own,
            )

    def _answers(self) -> bool:
        assert self._process is None or self._process.poll() is None, self.log()
        try:
            psycopg.connect(self._conninfo("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=vigil dbname={database} connect_timeout=10"


@contextmanager
def running_server(*, settings: Sequence[str] = ()) -> Iterator[PostgresServer]:
    """A server that runs until the block ends; its folder goes with it."""
    # Not below pytest's own folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="vigil-postgresql-") as folder:
        server = PostgresServer(Path(folder), settings=settings)
        server.start()
        try:
            yield server
        finally:
            server.stop(how=signal.SIGQUIT)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
