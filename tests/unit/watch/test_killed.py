"""What a watch that is killed with -9 leaves behind, and what the next one makes of it: real processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripted_server import Reply, Request
from vigil.store import Store
from watching import bright_server, film, look

TESTS = Path(__file__).resolve().parents[2]

WATCH = """
import asyncio, sys
from pathlib import Path
from types import SimpleNamespace
from vigil.store import Store
from watching import Notes, watched
{before}
with Store.open(sys.argv[2]) as store:
    server = SimpleNamespace(url=sys.argv[1])
    asyncio.run(watched(server, [Path(sys.argv[3])], {notes}, store=store, **dict({settings})))
"""


def watcher(url: str, db: Path, source: Path, *, settings: str = "", notes: str = "Notes()", before: str = "") -> Any:
    """A watch in a process of its own."""
    code = WATCH.format(settings=settings, notes=notes, before=textwrap.dedent(before))
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    return subprocess.Popen(
        [sys.executable, "-c", code, url, str(db), str(source)], env=os.environ | {"PYTHONPATH": paths}
    )


@contextmanager
def killed_at_last(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


def wait_until(happens: Callable[[], Any], *, within_s: float = 40.0) -> None:
    give_up_s = time.monotonic() + within_s
    while not happens():
        assert time.monotonic() < give_up_s, "it did not happen in time"
        time.sleep(0.05)


def logged(db: Path, source: str) -> list[Any]:
    """The verdicts of a source that are in the store by now."""
    with Store.open(db) as store:
        return [judged for session in store.sessions(source) for judged in store.session_log(session)[0]]


def no_words(request: Request) -> Reply:
    """Verdicts at once, words never."""
    if request.body.get("stream"):
        return Reply(body={}, delay_s=600.0)
    return look(request)


def test_a_verdict_is_in_the_log_while_its_words_are_still_on_their_way(tmp_path: Path) -> None:
    lit = film(tmp_path / "lit.mp4", seconds=20, bright=[(0, 20)])
    db = tmp_path / "e.db"
    with bright_server() as server:
        server.default = no_words
        process = watcher(server.url, db, lit, settings="deadline_s=600.0")
        with killed_at_last(process):
            wait_until(lambda: len(logged(db, "lit.mp4")) >= 9)
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
    left = logged(db, "lit.mp4")
    assert len(left) >= 9 and all(each.verdict.p_alarm > 0.5 and each.verdict.text is None for each in left)
