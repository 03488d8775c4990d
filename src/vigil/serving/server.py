"""Runs vLLM as a child process: starts it, waits until it answers, and stops it with every process it started.

./vllm.sh models/my-model                    in the foreground (`vigil serve`)
with run_server(folder) as server: ...       for programs: the demo and the tests
"""

import logging
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2

from vigil.environments import environment
from vigil.errors import JobError, UsageError
from vigil.files import close_to_others, for_owner
from vigil.frames import FrameSampling
from vigil.judge.endpoint import Endpoint, ServerKey, find_server_key
from vigil.questions import Question
from vigil.serving.command import ServePlan, ServerCommand, check_gpus, serve_command
from vigil.serving.diagnosis import explain_exit
from vigil.serving.plan import ContractOverrides, plan_server
from vigil.serving.settings import ServeSettings, load_serve_settings

logger = logging.getLogger(__name__)

POLL_S = 0.1
GRACE_S = 15.0
LAST_PORT = 65_535
SERVER_PORTS = range(20_000, 32_768)
"""Below those that Linux, macOS and Windows give to outgoing connections."""
PORTS_TRIED = 100
PARENT_PIPE = "VIGIL_PARENT_PIPE"
# Allow Python to cache bytecode in vLLM's environment: it starts in 17 s with it and in 35 s without.
DROPPED = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME")


@dataclass(slots=True, kw_only=True)
class ServerProcess:
    """A vLLM server and its process group; `pipe` closes when this process ends, which stops the group too."""

    child: "subprocess.Popen[bytes]"
    log: Path
    pipe: int
    started_s: float = field(default_factory=time.monotonic)

    def wait_until_ready(self, root: str, *, timeout_s: float, tick: Callable[[], None] = lambda: None) -> float:
        """Waits until `/health` answers and returns the seconds since the start.

        Raises JobError with the cause if vLLM exits before, or is not ready in time.
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
        """Waits until the server exits and returns its exit code."""
        return self.child.wait()

    def stop(self) -> None:
        """Terminates the server, then kills what is left of its process group."""
        with suppress(OSError):
            os.close(self.pipe)
        if self.child.poll() is None:
            self.child.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.child.wait(GRACE_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


def start_server(command: ServerCommand, *, log: Path, variables: Mapping[str, str]) -> ServerProcess:
    """Starts a server in a session of its own, with its output in `log`; raises JobError if it cannot be started."""
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
    """Raises UsageError if the address is already in use: better now than after vLLM's long start."""
    if not 0 < port <= LAST_PORT:
        raise UsageError(f"there is no port {port}; choose one between 1024 and {LAST_PORT} with --port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise UsageError(f"you may not listen on port {port}; choose one above 1023 with --port") from error
        except OSError as error:
            raise UsageError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port, or stop "
                "what runs there"
            ) from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is not in use, and that stays free until a server that takes long to start binds it.

    The system's own choice (port 0) is of those that it also gives to connections, any of which may take it meanwhile.
    """
    for port in random.sample(SERVER_PORTS, PORTS_TRIED):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            return port
    raise JobError(f"no port is free on {host} among {PORTS_TRIED} of {SERVER_PORTS[0]} to {SERVER_PORTS[-1]}")


def _answers(root: str) -> bool:
    try:
        # No TLS context: creating one costs CPU, and this is polled several times a second while the server starts.
        # The body is not read: another program may listen there and send an endless one.
        with httpx2.stream("GET", f"{root}/health", timeout=2.0, verify=False, trust_env=False) as answer:
            return answer.is_success
    except httpx2.HTTPError:
        return False


__all__ = [
    "ContractOverrides",
    "RunningServer",
    "ServePlan",
    "ServeSettings",
    "ServerCommand",
    "ServerKey",
    "find_server_key",
    "load_serve_settings",
    "plan_server",
    "run_server",
    "serve_command",
]

RUN_FOLDER = Path(".vigil")
"""Where logs, chat templates and the key are kept; not tracked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server that is ready; `models` are the names of its models."""

    url: str
    model: str
    models: tuple[str, ...]
    key: str = field(repr=False)
    log: Path
    ready_s: float
    pid: int
    plan: ServePlan

    @property
    def root(self) -> str:
        """The address without `/v1`."""
        return self.url.removesuffix("/v1")

    def endpoint(self, model: str = "") -> Endpoint:
        """The endpoint for a judge: address, model (the base if none is named) and key."""
        return Endpoint(url=self.url, model=model or self.model, api_key=self.key)


@contextmanager
def run_server(
    model_dir: Path,
    *,
    port: int = 0,
    name: str = "",
    task: Question | None = None,
    sampling: FrameSampling | None = None,
    adapters: Sequence[str] = (),
    log: Path | None = None,
    config: str | Path | None = None,
    key_file: Path | None = None,
    alias: bool = False,
    extra: Sequence[str] = (),
    timeout_s: float = 300.0,
) -> Iterator[RunningServer]:
    """Serves a model folder while the block runs, at 127.0.0.1 and a free port unless one is given.

    `task` and `sampling` are for a folder without a manifest; `adapters` are `NAME=PATH` strings; `extra` are flags of
    vLLM. vLLM's processes are stopped however the block ends. Raises JobError if it does not become ready.
    """
    runtime = environment("serve")
    check_gpus(runtime)
    settings = replace(load_serve_settings(config, runtime), host="127.0.0.1", port=port or free_port())
    check_port(settings.host, settings.port)
    plan = plan_server(
        model_dir,
        settings=settings,
        overrides=ContractOverrides.of(task, sampling),
        name=name,
        adapters=adapters,
        templates=log.parent if log else RUN_FOLDER,
        alias=alias,
        extra=extra,
    )
    key = find_server_key(key_file)
    log = log or RUN_FOLDER / f"vllm-{settings.port}.log"
    root = f"http://{settings.host}:{settings.port}"
    process = start_server(serve_command(plan, runtime, key), log=log, variables=runtime.variables())
    try:
        ready_s = process.wait_until_ready(root, timeout_s=timeout_s)
        yield RunningServer(
            url=f"{root}/v1",
            model=plan.name,
            models=(*plan.names, *(adapter.name for adapter in plan.adapters)),
            key=key.value,
            log=log,
            ready_s=ready_s,
            pid=process.child.pid,
            plan=plan,
        )
    finally:
        process.stop()
