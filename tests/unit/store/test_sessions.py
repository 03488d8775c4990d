"""Claims tell a watch that goes on from one that was killed."""

import subprocess
import sys
from pathlib import Path

from vigil.store.sessions import FOLDER, SourceLocks

CLAIM = (
    "import sys; from pathlib import Path; "
    "from vigil.store.sessions import SourceLocks; c = SourceLocks(Path(sys.argv[1]))"
)


def test_a_source_is_one_watchs_until_it_lets_go(tmp_path: Path) -> None:
    one, other = SourceLocks(tmp_path), SourceLocks(tmp_path)
    assert one.take("door") and one.take("door") and not other.take("door") and other.take("yard")
    one.release("door")
    one.release("door")
    assert other.take("door") and not one.take("door")


def test_the_claim_of_a_watch_that_was_killed_is_gone_with_it(tmp_path: Path) -> None:
    script = f"{CLAIM}; print(c.take('door'), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as watch:
        assert watch.stdout is not None and watch.stdout.readline() == "True\n"
        mine = SourceLocks(tmp_path)
        assert not mine.take("door")
        watch.kill()
        watch.wait()
        assert mine.take("door")


def test_where_no_lock_can_be_had_every_claim_is_granted(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder of locks should be")
    assert SourceLocks(tmp_path).take("door") and SourceLocks(tmp_path).take("door")
