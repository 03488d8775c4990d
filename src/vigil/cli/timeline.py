"""`vigil timeline`: lists who does what in a film, with seconds.

vigil timeline film.mp4 --language en --csv film.csv --plot film.png
vigil timeline long.mp4 --key-frames change --most 64 --srt long.srt
"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from vigil.actions import ActionTimeline, TimelineSettings, read_timeline
from vigil.actions.action_question import ActionLanguage
from vigil.actions.key_frames import MOST_KEY_FRAMES
from vigil.actions.read_film import LookedAt
from vigil.actions.stored_actions import store_actions
from vigil.cli.options import (
    OUTPUT,
    CaFileOption,
    KeyFileOption,
    MaxPixelsOption,
    ModelDirOption,
    ModelOption,
    UrlOption,
)
from vigil.cli.progress import progress_bar
from vigil.counted import counted
from vigil.errors import JobError, SourceError
from vigil.file_names import plain_name, shortened
from vigil.files import require_writable_file, require_writable_folder
from vigil.judge import Endpoint, read_key
from vigil.judge.endpoint import DEFAULT_URL
from vigil.report.action_files import action_table, write_action_csv, write_action_json, write_action_srt
from vigil.store import Store

LOOK = "How the film is looked at"

FilmArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A video file.")]
KeyFramesOption = Annotated[
    LookedAt,
    typer.Option(
        "--key-frames",
        rich_help_panel=LOOK,
        help="Ask about all windows, or only about those of key frames: evenly spaced, where the picture changes most, "
        "or where the most moves (optical flow).",
    ),
]
MostOption = Annotated[
    int,
    typer.Option(metavar="N", min=1, max=MOST_KEY_FRAMES, rich_help_panel=LOOK, help="Maximum number of key frames."),
]
LanguageOption = Annotated[ActionLanguage, typer.Option(rich_help_panel=LOOK, help="Language of the question.")]
AskOption = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        rich_help_panel=LOOK,
        help="Words of the question, in place of the usual ones; the answer keeps its form.",
    ),
]
InFlightOption = Annotated[
    int, typer.Option(metavar="N", min=1, rich_help_panel=LOOK, help="Number of concurrent requests.")
]
DeadlineOption = Annotated[
    float, typer.Option(metavar="S", min=1, rich_help_panel=LOOK, help="Timeout of a request in seconds.")
]
CsvOption = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", rich_help_panel=OUTPUT, help="Write the actions as a table."),
]
ActionJsonOption = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Write the actions, the answers kept as words, and what is unknown, as JSON.",
    ),
]
SubtitleOption = Annotated[
    Path | None,
    typer.Option("--srt", metavar="FILE", rich_help_panel=OUTPUT, help="Write the actions as subtitles."),
]
PlotOption = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", rich_help_panel=OUTPUT, help="Draw the timeline as a PNG picture."),
]
TimelineStoreOption = Annotated[
    str | None,
    typer.Option(
        metavar="STORE",
        rich_help_panel=OUTPUT,
        help="Also write the actions into this event store: path of an SQLite file, or a database URL.",
    ),
]
OutOption = Annotated[
    Path,
    typer.Option(metavar="FOLDER", rich_help_panel=OUTPUT, help="Folder for the answers, from which a run resumes."),
]
FreshOption = Annotated[
    bool,
    typer.Option(
        "--fresh", rich_help_panel=OUTPUT, help="Ask about everything again. Default: resume an interrupted run."
    ),
]


def timeline(
    film: FilmArgument,
    key_frames: KeyFramesOption = "all",
    most: MostOption = 48,
    language: LanguageOption = "zh",
    ask: AskOption = "",
    in_flight: InFlightOption = 4,
    deadline_s: DeadlineOption = 60.0,
    url: UrlOption = DEFAULT_URL,
    model: ModelOption = "",
    key_file: KeyFileOption = None,
    ca_file: CaFileOption = None,
    model_dir: ModelDirOption = None,
    max_pixels: MaxPixelsOption = None,
    json_file: ActionJsonOption = None,
    csv_file: CsvOption = None,
    srt: SubtitleOption = None,
    plot: PlotOption = None,
    store: TimelineStoreOption = None,
    out: OutOption = Path("outputs/timeline"),
    fresh: FreshOption = False,
) -> None:
    """List the actions in a film with the seconds of each: who does what, and what for.

    The film is asked about window by window; an action that goes on in the next window is one action.

    Example: vigil timeline film.mp4 --language en --csv film.csv --plot film.png
    """
    for path, option in ((json_file, "--json"), (csv_file, "--csv"), (srt, "--srt"), (plot, "--plot")):
        require_writable_file(path, option)
    require_writable_folder(out, "--out")
    if not film.is_file():
        raise SourceError(f"{film} is no video file; name one that exists")
    endpoint = Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=ca_file)
    settings = TimelineSettings(
        key_frames=key_frames,
        most=most,
        language=language,
        text=ask,
        model_dir=model_dir,
        max_pixels=max_pixels,
        in_flight=in_flight,
        deadline_s=deadline_s,
    )
    found = _read(film, endpoint, settings, out=out, fresh=fresh)
    typer.echo(action_table(found))
    if store is not None:
        with Store.open(store) as opened:
            typer.echo(f"{store}: {counted(store_actions(found, str(film), opened), 'new observation')}", err=True)
    _write(found, json_file=json_file, csv_file=csv_file, srt=srt, plot=plot)
    require_answers(found)


def _read(film: Path, endpoint: Endpoint, settings: TimelineSettings, *, out: Path, fresh: bool) -> ActionTimeline:
    journal = out / f"{shortened(plain_name(film.name), longest_bytes=80) or 'film'}.jsonl"
    with progress_bar(f"timeline of {film.name}, seconds") as on_progress:
        return asyncio.run(
            read_timeline(
                film,
                endpoint,
                settings,
                journal=journal,
                fresh=fresh,
                on_progress=lambda at_s, length_s: on_progress(round(at_s), round(length_s), film.name),
            )
        )


def _write(
    found: ActionTimeline, *, json_file: Path | None, csv_file: Path | None, srt: Path | None, plot: Path | None
) -> None:
    if json_file is not None:
        write_action_json(found, json_file)
    if csv_file is not None:
        write_action_csv(found, csv_file)
    if srt is not None:
        write_action_srt(found, srt)
    if plot is not None:
        from vigil.report.action_plot import write_action_plot

        write_action_plot(found, plot)
    for file in (json_file, csv_file, srt, plot):
        if file is not None:
            typer.echo(f"wrote {file}", err=True)


def require_answers(found: ActionTimeline) -> None:
    """Raises JobError if no window of the film has an answer."""
    if len(found.unknown) == found.windows:
        raise JobError(f"not one of {found.windows} windows has an answer: {found.unknown[0].reason}")
