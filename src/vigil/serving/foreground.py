"""Runs a server in the foreground: reports the stages of vLLM's start and its readiness, and stops it cleanly."""

import contextlib
import logging
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from vigil.environments import Environment
from vigil.errors import JobError
from vigil.judge.endpoint import VLLM_KEY_VARIABLE, ServerKey
from vigil.serving.command import ServePlan, ServerCommand, serve_command
from vigil.serving.diagnosis import explain_exit
from vigil.serving.server import ServerProcess, check_port, start_server

logger = logging.getLogger(__name__)

WATCH_S = 1.0
STAGES = (
    (re.compile(r"Resolved architecture: (\S+)"), "reading the model ({})"),
    (re.compile(r"Initializing a V1 LLM engine \((\S+)\)"), "starting the engine ({})"),
    (re.compile(r"Starting to load model"), "loading the weights"),
    (re.compile(r"KV cache size: ([\d,]+) tokens"), "making room for {} tokens"),
    (re.compile(r"Capturing CUDA graphs"), "capturing CUDA graphs"),
    (re.compile(r"Starting vLLM server"), "opening the port"),
)
TROUBLE_LINES = 3
TROUBLE = re.compile(r"\b(?:ERROR|CRITICAL) ")


class ServerStopped(Exception):
    """A signal asked the server to stop."""


@dataclass(slots=True)
class LogTail:
    """Reads what was appended to a log since the last call."""

    path: Path
    position: int = 0

    def new_lines(self) -> list[str]:
        """The new complete lines."""
        with self.path.open("rb") as file:
            file.seek(self.position)
            data = file.read()
        complete = data[: data.rfind(b"\n") + 1]
        self.position += len(complete)
        return complete.decode("utf-8", errors="replace").splitlines()


def serve_in_foreground(
    plan: ServePlan,
    runtime: Environment,
    key: ServerKey,
    *,
    log: Path,
    on_stage: Callable[[str], None],
    on_ready: Callable[[float], None],
) -> None:
    """Serves until Ctrl-C or SIGTERM. `on_stage` gets what vLLM is doing, `on_ready` the seconds the start took.

    Raises JobError if vLLM exits by itself.
    """
    settings = plan.settings
    command = serve_command(plan, runtime, key)
    check_port(settings.host, settings.port)
    follower = LogTail(log)
    with stop_on_signals():
        on_stage(f"starting vLLM on {plan.model.path}; its log is {log}")
        process = start_server(command, log=log, variables=runtime.variables())
        try:
            on_ready(
                process.wait_until_ready(
                    root_url(settings.host, settings.port),
                    timeout_s=settings.ready_timeout_s,
                    tick=lambda: _report_stages(follower, on_stage),
                )
            )
            _watch(process, follower)
        except (ServerStopped, KeyboardInterrupt):
            on_stage("stopping")
        finally:
            process.stop()


def root_url(host: str, port: int) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    near = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{near}:{port}"


def shell_line(command: ServerCommand, key: ServerKey) -> str:
    """The command as a shell line that works without showing the key."""
    variables = {**command.variables, VLLM_KEY_VARIABLE: f'"{key.shell}"'}
    shown = (f"{name}={value if '$' in value else shlex.quote(value)}" for name, value in sorted(variables.items()))
    return " ".join([*shown, shlex.join(command.argv)])


def _watch(process: ServerProcess, follower: LogTail) -> None:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.child.wait(WATCH_S)
            raise JobError(explain_exit(process.log, code))
        for line in list(filter(TROUBLE.search, follower.new_lines()))[:TROUBLE_LINES]:
            logger.warning("vLLM: %s", line[:300])


def _report_stages(follower: LogTail, on_stage: Callable[[str], None]) -> None:
    for line in follower.new_lines():
        found = ((pattern.search(line), message) for pattern, message in STAGES)
        for message in [message.format(*match.groups()) for match, message in found if match]:
            on_stage(message)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raises ServerStopped in the block on SIGTERM or SIGHUP."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise ServerStopped

    signs = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # it is ignored under nohup
        signs.append(signal.SIGHUP)
    before = {sign: signal.signal(sign, end) for sign in signs}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
