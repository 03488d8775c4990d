"""vLLM as a child: started, watched until it answers, and ended with everything that it started."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from vigil.errors import JobError, UsageError
from vigil.files import close_to_others, for_owner
from vigil.serving.command import ServerCommand
from vigil.serving.diagnosis import explain_exit

logger = logging.getLogger(__name__)

POLL_S = 0.1
GRACE_S = 15.0
LAST_PORT = 65_535
PARENT_PIPE = "VIGIL_PARENT_PIPE"
# Compiled modules may stay in vLLM's environment: it starts in 17 s with them and in 35 s without.
DROPPED = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME")


@dataclass(slots=True, kw_only=True)
class ServerProcess:
    """A vLLM server and its group of processes; `pipe` closes with this process, which ends them too."""

    child: "subprocess.Popen[bytes]"
    log: Path
    pipe: int
    started_s: float = field(default_factory=time.monotonic)

    def wait_until_ready(self, root: str, *, timeout_s: float, tick: Callable[[], None] = lambda: None) -> float:
        """Waits until `/health` answers and returns the seconds since the start.

        Raises JobError with the cause when vLLM dies before, or is not ready in time.
        """
        while not _answers(root):
            code = self.child.poll()
            if code is not None:
                raise JobError(explain_exit(self.log, code))
            if self.age_s > timeout_s:
                raise JobError(f"vLLM was not ready after {timeout_s:.0f} s; its log is {self.log}")
            tick()
            time.sleep(POLL_S)
        return self.age_s

    @property
    def age_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_s

    def wait(self) -> int:
        """Waits until the server ends and returns its exit code."""
        return self.child.wait()

    def stop(self) -> None:
        """Asks the server to end, then makes sure that nothing of its group is left."""
        with contextlib.suppress(OSError):
            os.close(self.pipe)
        if self.child.poll() is None:
            self.child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(GRACE_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


def start_server(command: ServerCommand, *, log: Path, variables: Mapping[str, str]) -> ServerProcess:
    """Starts a server in a session of its own, its output in `log`; raises JobError when it cannot be started."""
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in variables.items() if key not in DROPPED}
    read_end, write_end = os.pipe()
    try:
        with open(log, "wb", opener=for_owner) as output:
            close_to_others(log)
            child = subprocess.Popen(
                command.argv,
                env=kept | dict(command.variables) | {PARENT_PIPE: str(read_end)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(read_end,),
                start_new_session=True,
            )
    except OSError as error:
        os.close(write_end)
        raise JobError(f"vLLM could not be started ({command.argv[0]}): {error}") from error
    finally:
        os.close(read_end)
    return ServerProcess(child=child, log=log, pipe=write_end)


def check_port(host: str, port: int) -> None:
    """Raises UsageError when something listens at this address already: better now than after vLLM's long start."""
    if not 0 < port <= LAST_PORT:
        raise UsageError(f"there is no port {port}; choose one between 1024 and {LAST_PORT} with --port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise UsageError(f"port {port} may not be used by you; choose one above 1023 with --port") from error
        except OSError as error:
            raise UsageError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port, or stop "
                "what runs there"
            ) from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(root: str) -> bool:
    try:
        # Without a certificate to check: it is asked several times a second while the server starts on these cores.
        # What it says beside its status is not read: another program may listen there, and say no end of things.
        with httpx2.stream("GET", f"{root}/health", timeout=2.0, verify=False, trust_env=False) as answer:
            return answer.is_success
    except httpx2.HTTPError:
        return False
