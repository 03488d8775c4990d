"""`vigil serve`, called by `./vllm.sh`: serves a model folder with vLLM, under the contract it was trained with."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from vigil.cli.hints import runnable
from vigil.environments import environment
from vigil.judge.endpoint import ServerKey, find_server_key
from vigil.manifest import MANIFEST_NAME
from vigil.questions import load_question
from vigil.serving.command import ServePlan, check_gpus, serve_command
from vigil.serving.foreground import root_url, shell_line
from vigil.serving.foreground import serve_in_foreground as serve_in_foreground
from vigil.serving.plan import ContractOverrides, plan_server
from vigil.serving.server import RUN_FOLDER
from vigil.serving.settings import ServeSettings, load_serve_settings

PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True}


def serve(
    context: typer.Context,
    model_dir: Annotated[Path, typer.Argument(help="A model folder; flags of vLLM may follow.")],
    lora: Annotated[list[str] | None, typer.Option(help="NAME=PATH of an adapter to serve as well.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8000 by default.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="File with the key; created if it is missing.")] = None,
    served_model_name: Annotated[str, typer.Option(help="The model's name; by default that of its folder.")] = "",
    config: Annotated[str | None, typer.Option(help="Settings in configs/serve, by name or path.")] = None,
    task: Annotated[str | None, typer.Option(help="Without a manifest: the task, as in configs/tasks.")] = None,
    fps: Annotated[float | None, typer.Option(help="Without a manifest: frames per second.")] = None,
    frames: Annotated[int | None, typer.Option(help="Without a manifest: frames per window.")] = None,
    overlap: Annotated[float | None, typer.Option(help="Without a manifest: overlap of windows, as a share.")] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Without a manifest: maximum area of a frame.")] = None,
    jpeg_quality: Annotated[int | None, typer.Option(help="Without a manifest: JPEG quality of frames.")] = None,
    no_manifest: Annotated[bool, typer.Option("--no-manifest", help="Serve without, or despite, a contract.")] = False,
    alias: Annotated[bool, typer.Option("--alias", help="List contracts as models too, for older clients.")] = False,
    log: Annotated[Path | None, typer.Option(help="File for vLLM's own output.")] = None,
    print_only: Annotated[bool, typer.Option("--print", help="Show the command; do not run it.")] = False,
) -> None:
    """Serve a model folder over an OpenAI-compatible endpoint, reading frames as in training.

    Every flag of `vllm serve` may follow and overrides ours: vigil serve models/my-model --max-num-seqs 64
    """
    runtime = environment("serve")
    if not print_only:
        check_gpus(runtime)
    wanted = ContractOverrides(
        task=load_question(task) if task else None,
        fps=fps,
        frames=frames,
        overlap=overlap,
        max_pixels=max_pixels,
        jpeg_quality=jpeg_quality,
        no_manifest=no_manifest,
    )
    plan = plan_server(
        model_dir,
        settings=_settings(load_serve_settings(config, runtime), host=host, port=port),
        wanted=wanted,
        name=served_model_name,
        adapters=lora or (),
        templates=RUN_FOLDER,
        alias=alias,
        extra=context.args,
    )
    key = find_server_key(key_file, make=not print_only)
    if print_only:
        typer.echo(shell_line(serve_command(plan, runtime, key), key))
        return
    log = log or RUN_FOLDER / f"vllm-{plan.settings.port}.log"
    console = Console(stderr=True, highlight=False)
    serve_in_foreground(
        plan,
        runtime,
        key,
        log=log,
        on_stage=lambda words: console.print(words, markup=False),
        on_ready=lambda seconds: typer.echo(_ready_words(plan, key, seconds)),
    )
    console.print("stopped")


def _settings(settings: ServeSettings, **said: Any) -> ServeSettings:
    return replace(settings, **{name: value for name, value in said.items() if value is not None})


def _ready_words(plan: ServePlan, key: ServerKey, seconds: float) -> str:
    url = f"{root_url(plan.settings.host, plan.settings.port)}/v1"
    models = [plan.name, *(adapter.name for adapter in plan.adapters)]
    lines = [
        f"ready after {seconds:.0f} s: {', '.join(models)} at {url}",
        f"  key       {key.origin}",
        f"  contract  {plan.contract.alias if plan.contract else 'none: clients cannot check how pictures are read'}",
        f"  ask       curl {url}/chat/completions -H 'Content-Type: application/json' \\",
        f'              -H "Authorization: Bearer {key.shell}" \\',
        f"""              -d '{{"model": "{models[-1]}", "messages": [{{"role": "user", "content": "hello"}}]}}'""",
        f"  score     vigil score --data data --url {url} --model {models[-1]}{_calibration_words(plan)}",
        "  stop      Ctrl-C",
    ]
    return runnable("\n".join(lines))


def _calibration_words(plan: ServePlan) -> str:
    """The option that gives a client the model's calibration, which a server does not report."""
    folder = plan.adapters[-1].path if plan.adapters else plan.model.path
    return f" --model-dir {shlex.quote(str(folder))}" if (folder / MANIFEST_NAME).is_file() else ""
