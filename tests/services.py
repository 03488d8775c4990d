"""Programs from the system's packages (`scripts/setup.sh services`), each started on a free port for one test."""

import getpass
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from waiting import HANG_S, until

SBIN = "/usr/sbin:/usr/local/sbin"


def program(name: str) -> str:
    """The path of a program; daemons are in folders that are not on every user's path."""
    found = shutil.which(name) or shutil.which(name, path=SBIN)
    assert found, f"{name} is missing: bash scripts/setup.sh services"
    return found


def listens(port: int) -> bool:
    """Whether something accepts connections on a port."""
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), timeout=HANG_S)):
        return True
    return False


@contextmanager
def daemon(command: Sequence[str], *, port: int, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a program until the end of the block; begins once it listens on its port."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process:
        try:
            until(lambda: process.poll() is not None or listens(port))
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8", errors="replace")
            yield process
        finally:
            process.terminate()
            process.wait(HANG_S)


@contextmanager
def mosquitto(folder: Path, *, port: int, password: str = "") -> Iterator["subprocess.Popen[bytes]"]:
    """An MQTT broker that forgets everything at its end; with a password its only user is `vigil`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"listener {port} 127.0.0.1", "persistence false", f"allow_anonymous {str(not password).lower()}"]
    # Else, started as root, it becomes a user who may not read this folder.
    lines.append(f"user {getpass.getuser()}")
    if password:
        users = folder / "users"
        subprocess.run([program("mosquitto_passwd"), "-b", "-c", str(users), "vigil", password], check=True)
        lines.append(f"password_file {users}")
    settings = folder / "mosquitto.conf"
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with daemon([program("mosquitto"), "-c", str(settings)], port=port, folder=folder) as process:
        yield process
