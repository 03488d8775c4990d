"""`vigil watch`: watches any kind of source and reports events.

vigil watch clips/ --jsonl verdicts.jsonl
vigil watch camera.txt --config default --metrics-port 9100
vigil watch rtsp://HOST/door --ask "Is somebody climbing over the fence?"
vigil watch long.mp4 --realtime --srt long.srt --video long-watched.mp4
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vigil.cli.main import wide_console
from vigil.cli.options import (
    ENDPOINT,
    OUTPUT,
    CaFileOption,
    KeyFileOption,
    MaxPixelsOption,
    ModelDirOption,
    ModelOverride,
    TaskOption,
    UrlOverride,
)
from vigil.cli.watch_outputs import WatchOutputs
from vigil.cli.watch_table import summary_table
from vigil.errors import JobError
from vigil.judge import read_key
from vigil.verdict import CAUSE_MEANINGS, Cause
from vigil.watch import Watcher, WatchSettings, WatchSummary
from vigil.watch.run import run_watch
from vigil.watch.settings import ask_sources, load_watch_settings

SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE",
        help="Video files, folders, webcam numbers, rtsp:// and http:// addresses, camera.txt files, names of sources "
        "of the settings. Default: all sources of the settings.",
    ),
]
ConfigOption = Annotated[
    str, typer.Option(metavar="NAME", help="Watch settings: a name in configs/watch or a YAML file.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one setting (docs/watch.md), such as rules.0.k=1. May be repeated."
    ),
]
AskOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SENTENCE",
        help="Also watch for what this sentence asks, answered with yes or no (docs/questions.md). Kept with the "
        "camera. May be repeated; `none` takes its questions away.",
    ),
]
RealtimeOption = Annotated[
    bool, typer.Option("--realtime", help="Play files at their own speed, like cameras; windows may be dropped.")
]
FastOption = Annotated[
    bool, typer.Option("--fast", help="Decode with less CPU time and slightly different frames (docs/ingest.md).")
]
WaitOption = Annotated[
    float,
    typer.Option(
        metavar="S", min=0, rich_help_panel=ENDPOINT, help="Seconds to wait for an endpoint that is not up yet."
    ),
]
WatchStoreOption = Annotated[
    str | None,
    typer.Option(
        metavar="STORE",
        envvar="VIGIL_STORE",
        rich_help_panel=OUTPUT,
        help="Event store: path of an SQLite file, a database URL, or `none`. Default: as in the settings.",
    ),
]
KeepFramesOption = Annotated[
    bool, typer.Option("--keep-frames", rich_help_panel=OUTPUT, help="Also store the frames that were judged.")
]
JsonlOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", rich_help_panel=OUTPUT, help="Write each verdict and event as a line of JSON; - is stdout."
    ),
]
SrtOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", rich_help_panel=OUTPUT, help="Write the verdicts as subtitles. For one source only."),
]
VideoOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Write a video annotated with verdicts, probability and events. For one source only.",
    ),
]
MetricsPortOption = Annotated[
    int | None,
    typer.Option(metavar="PORT", rich_help_panel=OUTPUT, help="Serve Prometheus metrics at 127.0.0.1:PORT/metrics."),
]


def watch(
    sources: SourcesArgument = None,
    config: ConfigOption = "default",
    set_: SetOption = None,
    ask: AskOption = None,
    realtime: RealtimeOption = False,
    fast: FastOption = False,
    url: UrlOverride = None,
    model: ModelOverride = None,
    key_file: KeyFileOption = None,
    ca_file: CaFileOption = None,
    model_dir: ModelDirOption = None,
    task: TaskOption = None,
    max_pixels: MaxPixelsOption = None,
    wait: WaitOption = 0.0,
    store: WatchStoreOption = None,
    keep_frames: KeepFramesOption = False,
    jsonl: JsonlOption = None,
    srt: SrtOption = None,
    video: VideoOption = None,
    metrics_port: MetricsPortOption = None,
) -> None:
    """Watch sources and report events: files to their end, cameras until Ctrl-C.

    Options override the settings of --config; --set overrides both.

    Example: vigil watch clips/ --jsonl verdicts.jsonl
    """
    named = {
        "sources": tuple(sources) if sources else None,
        "realtime": realtime or None,
        "url": url,
        "model": model,
        "model_dir": model_dir,
        "ca_file": ca_file,
        "task": task,
        "max_pixels": max_pixels,
        "store": "" if store == "none" else store,
        "metrics_port": metrics_port,
        "keep_frames": keep_frames or None,
        "fast": fast or None,
    }
    given = {key: value for key, value in named.items() if value is not None}
    settings = load_watch_settings(config, given, set_ or [])
    if ask:
        settings = replace(settings, sources=ask_sources(settings.sources, ask))
    summary, missing = _run(settings, jsonl=jsonl, srt=srt, video=video, key_file=key_file, wait_s=wait)
    _report(summary, missing, wide_console(stderr=True) if jsonl == "-" else wide_console())
    require_verdicts(summary)
    if missing:
        raise JobError("some results could not be written; the line above names them, the log says why")


def _report(summary: WatchSummary, missing: Sequence[str], console: Console) -> None:
    console.print(summary_table(summary))
    if summary.failures:
        console.print(
            f"{summary.failures} internal errors in Vigil; the watch went on. Please report them with the log"
        )
    if missing:
        console.print(f"not kept: {'; '.join(missing)}", markup=False, highlight=False)


def require_verdicts(summary: WatchSummary) -> None:
    """Raises JobError if there were windows and none of them could be judged."""
    if summary.unaccounted:
        raise JobError(f"{summary.unaccounted} windows are unaccounted for; this is a fault in Vigil, please report it")
    if any(state.judged or state.skipped for state in summary.sources):
        return
    failed = sum((state.unknown for state in summary.sources), Counter[Cause]())
    del failed[Cause.CANCELLED]
    if failed:
        causes = ", ".join(f"{count} {cause} ({CAUSE_MEANINGS[cause]})" for cause, count in failed.items())
        raise JobError(f"not one window could be judged: {causes}")


def _run(
    settings: WatchSettings,
    *,
    jsonl: str | None,
    srt: Path | None,
    video: Path | None,
    key_file: Path | None,
    wait_s: float,
) -> tuple[WatchSummary, list[str]]:
    """The summary of the watch, and the results that could not be written."""
    with ExitStack() as stack:
        outputs = WatchOutputs(settings, stack, jsonl=jsonl, srt=srt, video=video)

        def on_start(watch: Watcher) -> None:
            outputs.follow(watch)
            on_signals(watch.stop)

        key = read_key(key_file, url=settings.url)
        job = run_watch(settings, api_key=key, observers=outputs.observers, wait_s=wait_s, on_start=on_start)
        summary = asyncio.run(job)
    outputs.finish()
    return summary, [*_store_losses(summary), *outputs.missing]


def _store_losses(summary: WatchSummary) -> list[str]:
    records, media = summary.store_losses, summary.media_losses
    losses = (
        f"{records} events and verdicts in the store" if records else "",
        f"{media} pictures and clips of events" if media else "",
    )
    return [each for each in losses if each]


def on_signals(stop: Callable[[], None]) -> None:
    """Makes Ctrl-C and SIGTERM call `stop` in the running loop; calling it twice stops a watch at once."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
