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
CONTRACT = "Contract (for a model without vigil.json)"

ModelFolderArgument = Annotated[
    Path, typer.Argument(metavar="MODEL_DIR", help="Folder of the model. Options of `vllm serve` may follow.")
]
LoraOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=FOLDER", help="Adapter to serve as well, under this name. May be repeated."),
]
HostOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Address to listen on. Default: as in --config, else 127.0.0.1.")
]
PortOption = Annotated[
    int | None, typer.Option(metavar="PORT", help="Port to listen on. Default: as in --config, else 8000.")
]
ServerKeyOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File with the API key that clients must send; created if missing. Default: $VIGIL_API_KEY or "
        "$VLLM_API_KEY, else .vigil/key.",
    ),
]
ServedNameOption = Annotated[
    str, typer.Option(metavar="NAME", help="Name of the served model. Default: that of its folder.")
]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Server settings: a name in configs/serve or a YAML file. Default: `cpu` if vLLM is a CPU build, "
        "else `default`.",
    ),
]
AliasOption = Annotated[
    bool, typer.Option("--alias", help="Also list each contract as a model, for older clients that look for it there.")
]
LogOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="File for vLLM's own output. Default: .vigil/vllm-PORT.log.")
]
PrintOption = Annotated[bool, typer.Option("--print", help="Print the vLLM command; do not run it.")]
ServedTaskOption = Annotated[
    str | None,
    typer.Option(
        metavar="TASK",
        rich_help_panel=CONTRACT,
        help="Task: a name in configs/tasks or a YAML file. Required without vigil.json.",
    ),
]
FpsOption = Annotated[
    float | None, typer.Option(metavar="FPS", rich_help_panel=CONTRACT, help="Frames per second of video. Default: 2.")
]
FramesOption = Annotated[
    int | None, typer.Option(metavar="N", rich_help_panel=CONTRACT, help="Frames per window. Default: 6.")
]
OverlapOption = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE", rich_help_panel=CONTRACT, help="Share of a window that the next one repeats. Default: 0.4."
    ),
]
ServedMaxPixels = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS", rich_help_panel=CONTRACT, help="Maximum area of a frame in pixels. Default: 131072."
    ),
]
QualityOption = Annotated[
    int | None,
    typer.Option(
        metavar="QUALITY", rich_help_panel=CONTRACT, help="JPEG quality of frames, from 1 to 100. Default: 90."
    ),
]
NoManifestOption = Annotated[
    bool,
    typer.Option(
        "--no-manifest",
        rich_help_panel=CONTRACT,
        help="Ignore vigil.json and serve without a contract, or under the one given here.",
    ),
]


def serve(
    context: typer.Context,
    model_dir: ModelFolderArgument,
    lora: LoraOption = None,
    host: HostOption = None,
    port: PortOption = None,
    key_file: ServerKeyOption = None,
    served_model_name: ServedNameOption = "",
    config: ConfigOption = None,
    alias: AliasOption = False,
    log: LogOption = None,
    print_only: PrintOption = False,
    task: ServedTaskOption = None,
    fps: FpsOption = None,
    frames: FramesOption = None,
    overlap: OverlapOption = None,
    max_pixels: ServedMaxPixels = None,
    jpeg_quality: QualityOption = None,
    no_manifest: NoManifestOption = False,
) -> None:
    """Serve a model folder with vLLM over an OpenAI-compatible endpoint, with frames read as in training.

    Options of `vllm serve` may follow and override those of Vigil.

    Example: vigil serve models/my-model --max-num-seqs 64
    """
    runtime = environment("serve")
    if not print_only:
        check_gpus(runtime)
    overrides = ContractOverrides(
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
        overrides=overrides,
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
        on_stage=lambda message: console.print(message, markup=False),
        on_ready=lambda seconds: typer.echo(_ready_message(plan, key, seconds)),
    )
    console.print("stopped")


def _settings(settings: ServeSettings, **given: Any) -> ServeSettings:
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def _ready_message(plan: ServePlan, key: ServerKey, seconds: float) -> str:
    url = f"{root_url(plan.settings.host, plan.settings.port)}/v1"
    models = [plan.name, *(adapter.name for adapter in plan.adapters)]
    lines = [
        f"ready after {seconds:.0f} s: {', '.join(models)} at {url}",
        f"  key       {key.origin}",
        f"  contract  {plan.contract.alias if plan.contract else 'none: clients cannot check how pictures are read'}",
        f"  ask       curl {url}/chat/completions -H 'Content-Type: application/json' \\",
        f'              -H "Authorization: Bearer {key.shell}" \\',
        f"""              -d '{{"model": "{models[-1]}", "messages": [{{"role": "user", "content": "hello"}}]}}'""",
        f"  score     vigil score --data data --url {url} --model {models[-1]}{_calibration_message(plan)}",
        "  stop      Ctrl-C",
    ]
    return runnable("\n".join(lines))


def _calibration_message(plan: ServePlan) -> str:
    """The option that gives a client the model's calibration, which a server does not report."""
    folder = plan.adapters[-1].path if plan.adapters else plan.model.path
    return f" --model-dir {shlex.quote(str(folder))}" if (folder / MANIFEST_NAME).is_file() else ""
