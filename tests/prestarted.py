"""Processes of Vigil's own programs that need not load their modules: they are forked from a server that has.

The pages take 4 s of CPU before they answer, nearly all of it imports, and the suite starts them fifty times. What runs
is the same: `web.py`, or a module as `python -m` runs it, in a process with words, variables and streams of its own.
Not the same are the process's memory and what `ps` shows, and a module that is loaded too late is there already: what
tries those starts a Python of its own.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from waiting import HANG_S

TESTS = Path(__file__).resolve().parent
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["prestarted_imports"])


class ProgramProcess(Protocol):
    """What tests do with a process, however it was started."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The files that are a process's streams; what it says of errors goes to its output unless it has one for them."""

    output: Path
    errors: Path | None = None
    input: Path = Path(os.devnull)


class PrestartedProcess:
    """A program that runs; used like a `subprocess.Popen`, of which it has what the tests need."""

    def __init__(self, words: Sequence[str], *, env: Mapping[str, str], folder: Path, streams: Streams) -> None:
        self._words = list(words)
        self._process = SERVER.Process(target=_run, args=(self._words, dict(env), folder, streams))
        _start_server()
        self._process.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended; raises subprocess.TimeoutExpired if it does not."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._words, timeout or 0.0)
        return code

    def send_signal(self, sig: int) -> None:
        """Sends it a signal if it still runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)


def _start_server() -> None:
    """Starts the server if there is none yet. Python 3.11's own way to tell it our folders does nothing."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent), str(TESTS), *filter(None, [before])])
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def begun(words: Sequence[str], *, log: Path) -> PrestartedProcess:
    """A program that runs with this process's variables, and writes what it says into a file."""
    return PrestartedProcess(words, env=os.environ, folder=Path.cwd(), streams=Streams(output=log))


def run(words: Sequence[str], *, said: str = "", folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """What a program did and said in a folder, or else in this one, that was told something, once it has ended."""
    with TemporaryDirectory() as streamed:
        output, errors, told = (Path(streamed) / name for name in ("output", "errors", "input"))
        told.write_text(said, encoding="utf-8")
        streams = Streams(output=output, errors=errors, input=told)
        process = PrestartedProcess(words, env=os.environ, folder=folder or Path.cwd(), streams=streams)
        code = process.wait(HANG_S)
        return subprocess.CompletedProcess(list(words), code, output.read_text("utf-8"), errors.read_text("utf-8"))


def _run(words: Sequence[str], env: Mapping[str, str], folder: Path, streams: Streams) -> None:
    """Makes the forked process what a new one would be, and runs a program in it."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    _connect(streams)
    try:
        _run_here(words)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves out what a program's end calls


def _run_here(words: Sequence[str]) -> None:
    """As Python takes its words: a file, a module after `-m`, or lines after `-c`."""
    first, *others = words
    if first == "-c":
        sys.argv = [first, *others[1:]]
        exec(compile(others[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.argv = others
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        runpy.run_path(first, run_name="__main__")


def _connect(streams: Streams) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    os.dup2(os.open(streams.input, os.O_RDONLY), 0)
    os.dup2(os.open(streams.output, flags), 1)
    os.dup2(os.open(streams.errors or streams.output, flags), 2)
    sys.stdin = os.fdopen(0, encoding="utf-8")  # multiprocessing has closed the one of before
