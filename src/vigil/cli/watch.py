"""`vigil watch`: watches any kind of source and reports events.

vigil watch clips/ --jsonl verdicts.jsonl
vigil watch camera.txt --config default --metrics-port 9100
vigil watch long.mp4 --realtime --srt long.srt --video long-watched.mp4
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from vigil.cli.main import wide_console
from vigil.cli.watch_outputs import WatchOutputs
from vigil.cli.watch_table import summary_table
from vigil.errors import JobError
from vigil.judge import read_key
from vigil.verdict import CAUSE_MEANINGS, Cause
from vigil.watch import Watcher, WatchSettings, WatchSummary
from vigil.watch.run import run_watch
from vigil.watch.settings import load_watch_settings

SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Video files, folders, webcam numbers, rtsp:// or http:// addresses, camera.txt files."),
]
Config = Annotated[str, typer.Option(help="Settings in configs/watch, by name or path.")]
Realtime = Annotated[
    bool, typer.Option("--realtime", help="Play files in real time, like cameras; windows may be dropped.")
]
JsonlOption = Annotated[
    str | None, typer.Option(help="Write one JSON line per verdict and event to a file, or - for stdout.")
]
SrtOption = Annotated[Path | None, typer.Option(help="Write subtitles with the verdicts (one source).")]
VideoOption = Annotated[
    Path | None, typer.Option(help="Write a video annotated with verdicts, probability and events (one source).")
]
Url = Annotated[str | None, typer.Option(help="The OpenAI-compatible endpoint.", envvar="VIGIL_URL")]
Model = Annotated[str | None, typer.Option(help="The served model; may be omitted if there is only one.")]
WatchModelDir = Annotated[Path | None, typer.Option(help="The model's folder, for its contract and calibration.")]
KeyFile = Annotated[
    Path | None, typer.Option(help="File with the key (else $VIGIL_API_KEY; .vigil/key on this machine).")
]
WatchCaFile = Annotated[
    Path | None,
    typer.Option(help="Certificates of your own authority, for https (else $SSL_CERT_FILE, or the system's)."),
]
WatchTaskOption = Annotated[str | None, typer.Option(help="Task name or YAML file.")]
MaxPixels = Annotated[int | None, typer.Option(help="Maximum area of a frame, if no contract sets it.", min=4096)]
WatchStoreOption = Annotated[
    str | None, typer.Option(help="Where to store events: a file, a database URL, or none.", envvar="VIGIL_STORE")
]
WaitOption = Annotated[float, typer.Option(help="Seconds to wait for an endpoint that is not up yet.", min=0)]
MetricsPort = Annotated[int | None, typer.Option(help="Serve Prometheus metrics at 127.0.0.1:PORT/metrics.")]
KeepFrames = Annotated[bool, typer.Option("--keep-frames", help="Keep the exact frames that were judged for an event.")]
FastOption = Annotated[bool, typer.Option("--fast", help="Decode faster, slightly less exactly (docs/ingest.md).")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Any other setting: --set describe=never --set rules.0.k=1")
]


def watch(
    sources: SourcesArgument = None,
    config: Config = "default",
    realtime: Realtime = False,
    jsonl: JsonlOption = None,
    srt: SrtOption = None,
    video: VideoOption = None,
    url: Url = None,
    model: Model = None,
    model_dir: WatchModelDir = None,
    key_file: KeyFile = None,
    ca_file: WatchCaFile = None,
    task: WatchTaskOption = None,
    max_pixels: MaxPixels = None,
    store: WatchStoreOption = None,
    wait: WaitOption = 0.0,
    metrics_port: MetricsPort = None,
    keep_frames: KeepFrames = False,
    fast: FastOption = False,
    set_: SetOption = None,
) -> None:
    """Watch sources and report events: files to their end, cameras until Ctrl-C.

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
    settings = load_watch_settings(
        config, {key: value for key, value in named.items() if value is not None}, set_ or []
    )
    summary, missing = _run(settings, jsonl=jsonl, srt=srt, video=video, key_file=key_file, wait_s=wait)
    console = wide_console(stderr=True) if jsonl == "-" else wide_console()
    console.print(summary_table(summary))
    if summary.failures:
        console.print(
            f"{summary.failures} internal errors in Vigil; the watch went on. Please report them with the log"
        )
    if missing:
        console.print(f"not kept: {'; '.join(missing)}", markup=False, highlight=False)
    require_verdicts(summary)
    if missing:
        raise JobError("some results could not be written; the line above names them, the log says why")


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
    told = (
        f"{records} events and verdicts in the store" if records else "",
        f"{media} pictures and clips of events" if media else "",
    )
    return [each for each in told if each]


def on_signals(stop: Callable[[], None]) -> None:
    """Makes Ctrl-C and SIGTERM call `stop` in the running loop; calling it twice stops a watch at once."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
