"""Serving: a model folder behind vLLM's OpenAI-compatible endpoint, with pictures read as they were in training.

./vllm.sh models/my-model              in the foreground, for people (`vigil serve`)
with running(folder) as server: ...    for programs: the demo and the tests
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from vigil.environments import environment
from vigil.frames import FrameSampling
from vigil.judge.endpoint import Endpoint
from vigil.serving.command import ServePlan, ServerCommand, check_gpus, serve_command
from vigil.serving.key import ServerKey, find_server_key
from vigil.serving.plan import ContractOverrides, plan_server
from vigil.serving.process import check_port, free_port, start_server
from vigil.serving.settings import ServeSettings, load_serve_settings
from vigil.tasks import Task

__all__ = [
    "ServerCommand",
    "ServePlan",
    "ServeSettings",
    "RunningServer",
    "ServerKey",
    "ContractOverrides",
    "load_serve_settings",
    "plan_server",
    "run_server",
    "serve_command",
    "find_server_key",
]

RUN_FOLDER = Path(".vigil")
"""Where logs, templates and the key lie; not tracked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server that is ready: `models` are the names it answers to."""

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
        """The address, a model (the base when none is named) and the key, as the judge takes them."""
        return Endpoint(url=self.url, model=model or self.model, api_key=self.key)


@contextmanager
def run_server(
    model_dir: Path,
    *,
    port: int = 0,
    name: str = "",
    task: Task | None = None,
    sampling: FrameSampling | None = None,
    adapters: Sequence[str] = (),
    log: Path | None = None,
    config: str | Path | None = None,
    key_file: Path | None = None,
    alias: bool = False,
    extra: Sequence[str] = (),
    timeout_s: float = 300.0,
) -> Iterator[RunningServer]:
    """Serves a model folder while the block runs, at 127.0.0.1 and a free port unless one is named.

    `task` and `sampling` are for a folder without a manifest; `adapters` are words `NAME=PATH`; `extra` are flags of
    vLLM. Whatever ends the block ends vLLM's processes. Raises JobError when it does not become ready.
    """
    runtime = environment("serve")
    check_gpus(runtime)
    settings = replace(load_serve_settings(config, runtime), host="127.0.0.1", port=port or free_port())
    check_port(settings.host, settings.port)
    plan = plan_server(
        model_dir,
        settings=settings,
        wanted=ContractOverrides.of(task, sampling),
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
