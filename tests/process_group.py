"""What is left of a group of processes."""

import subprocess
import time

from waiting import HANG_S


def living(pid: int) -> list[str]:
    """The command lines of a group's processes that are no zombies."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [row[2] for row in rows if int(row[0]) == pid and not row[1].startswith("Z")]


def wait_until_gone(pid: int, *, within_s: float = HANG_S) -> list[str]:
    """What is left of a group after that time; empty as soon as nothing is."""
    deadline = time.monotonic() + within_s
    while (left := living(pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left
