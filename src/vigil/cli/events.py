"""`vigil events`: lists, shows, marks, exports and prunes the events in a store.

vigil events list --since 2h --tier medium
vigil events show 9f3c21ab
vigil events mark 9f3c21ab false-alarm --note "two boys play"
vigil events export --format csv --out events.csv
vigil events prune --media-days 7
"""

import getpass
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, cast

import typer

from vigil.cli.event_table import list_table, show_event
from vigil.cli.hints import runnable
from vigil.cli.main import wide_console
from vigil.counted import counted
from vigil.errors import JobError, UsageError
from vigil.events import Event, Tier
from vigil.report.event_export import EventMarks, EventMediaFiles, as_csv, as_json
from vigil.report.subtitles import format_srt
from vigil.store import DEFAULT_STORE, EventFilter, MarkFilter, MarkValue, RetentionSettings, Store, WatchSession, prune
from vigil.store.times import parse_time

app = typer.Typer(
    help="What a watch has found. Example: vigil events list --since 2h --tier medium",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

ExportFormat: TypeAlias = Literal["json", "csv", "srt"]

StoreOption = Annotated[str, typer.Option("--store", help="Path or URL of the store.", envvar="VIGIL_STORE")]
MediaFolderOption = Annotated[Path | None, typer.Option(help="Folder of its media (default: beside the SQLite file).")]
SinceOption = Annotated[str, typer.Option(help="From this moment on: 2026-11-20T11:50 (local), or 2h (ago).")]
UntilOption = Annotated[str, typer.Option(help="Up to this moment.")]
SourceOption = Annotated[str, typer.Option(help="Only of this camera, by its id or name (vigil cameras list).")]
TierOption = Annotated[Tier | None, typer.Option(help="At least this tier.")]
MarkOption = Annotated[
    Literal["true", "false-alarm", "unsure", "unmarked"] | None, typer.Option(help="Only those marked so.")
]
TextOption = Annotated[str, typer.Option(help="Only those whose description or notes hold these words.")]
Limit = Annotated[int | None, typer.Option(help="Only the newest so many.", min=1)]


def _filter(
    *, since: str, until: str, source: str, tier: Tier | None, mark: str | None, text: str, limit: int | None = None
) -> EventFilter:
    return EventFilter(
        since_utc=parse_time(since, option="--since") if since else None,
        until_utc=parse_time(until, option="--until") if until else None,
        source=source or None,
        tier=tier,
        mark=cast("MarkFilter", mark.replace("-", "_")) if mark else None,
        text=text,
        limit=limit,
    )


@app.command("list")
def list_events(
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    source: SourceOption = "",
    tier: TierOption = None,
    mark: MarkOption = None,
    text: TextOption = "",
    limit: Limit = 50,
) -> None:
    """Lists events, the oldest first. For files, --since and --until go by when the event was found.

    Example: vigil events list --since 2h --tier medium --text 打架
    """
    wanted = _filter(since=since, until=until, source=source, tier=tier, mark=mark, text=text, limit=limit)
    with Store.open(store, folder=folder, create=False) as opened:
        found = opened.events.find(wanted)
        if not found:
            _nothing_found(opened, wanted)
            return
        marks = opened.marks.newest([event.id for event in found])
    wide_console().print(list_table(found, marks))
    if limit is not None and len(found) == limit:
        typer.echo(f"the newest {limit}; --limit shows more", err=True)


def _nothing_found(store: Store, wanted: EventFilter) -> None:
    if wanted == EventFilter(limit=wanted.limit):
        found = runnable(f"`vigil watch SOURCE --store {store.name}` finds some")
        typer.echo(f"{store.name} holds no events yet; {found}", err=True)
        return
    known = store.events.sources()
    has = f"it has events of: {', '.join(known)}" if known else "it holds no events at all"
    typer.echo(f"no event in {store.name} is like that; {has}. Fewer conditions find more", err=True)


@app.command()
def show(
    event: Annotated[str, typer.Argument(help="An event's id, or the beginning or end of it.")],
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Tells all about one event. Its times, its windows and their probabilities, its files.

    Example: vigil events show 9f3c21ab
    """
    with Store.open(store, folder=folder, create=False) as opened:
        found = opened.events.get(event)
        show_event(wide_console(), found, opened.media.of_event(found.id), opened.marks.of_event(found.id))


@app.command()
def mark(
    event: Annotated[str, typer.Argument(help="An event's id, or the beginning or end of it.")],
    as_: Annotated[
        Literal["true", "false-alarm", "unsure", "none"],
        typer.Argument(metavar="true|false-alarm|unsure|none", help="What it was; none takes a mark back."),
    ],
    note: Annotated[str, typer.Option(help="Why, in words of your own.")] = "",
    who: Annotated[str, typer.Option(help="Who says so (default: the user of this machine).")] = "",
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Marks an event as true, as a false alarm, or as unsure. Earlier marks stay in its history.

    Example: vigil events mark 9f3c21ab false-alarm --note "two boys play"
    """
    word = cast("MarkValue", "" if as_ == "none" else as_.replace("-", "_"))
    with Store.open(store, folder=folder, create=False) as opened:
        marked = opened.marks.add(opened.events.get(event).id, word, who=who or _user(), note=note)
    typer.echo(f"event {marked.event_id}: {as_}, says {marked.who}", err=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise UsageError("this user has no name here; say who marks the event with --who NAME") from error


@app.command()
def export(
    format: Annotated[
        ExportFormat | None, typer.Option(help="json, csv or srt (default: the ending of --out, or json).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write (default: standard output).")] = None,
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    source: SourceOption = "",
    tier: TierOption = None,
    mark: MarkOption = None,
    text: TextOption = "",
    limit: Limit = None,
) -> None:
    """Writes events as JSON, CSV or subtitles (SRT). Subtitles are of one watch of one source.

    Example: vigil events export --since 7d --out events.csv
    """
    wanted = _filter(since=since, until=until, source=source, tier=tier, mark=mark, text=text, limit=limit)
    writers: dict[str, Callable[[Store, EventFilter], str]] = {"json": _json, "csv": _csv, "srt": _srt}
    kind = format or _format_of(out)
    with Store.open(store, folder=folder, create=False) as opened:
        written = writers[kind](opened, wanted)
    if out is None:
        typer.echo(written, nl=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        encoding = "utf-8-sig" if kind == "csv" else "utf-8"  # without a BOM, Excel may assume GBK
        out.write_text(written, encoding=encoding, errors="backslashreplace")
    except OSError as error:
        raise JobError(f"{out} cannot be written: {error.strerror}") from error
    typer.echo(f"wrote {out}", err=True)


def _format_of(out: Path | None) -> str:
    if out is None:
        return "json"
    suffix = out.suffix.removeprefix(".").lower()
    if suffix not in {"json", "csv", "srt"}:
        raise UsageError(f"--out {out}: name it .json, .csv or .srt, or say --format")
    return suffix


def _json(store: Store, wanted: EventFilter) -> str:
    found = _found(store, wanted)
    return as_json(found, *_belongings(store, found))


def _csv(store: Store, wanted: EventFilter) -> str:
    found = _found(store, wanted)
    return as_csv(found, *_belongings(store, found))


def _belongings(store: Store, found: list[Event]) -> tuple[EventMediaFiles, EventMarks]:
    media = {event.id: store.media.of_event(event.id) for event in found}
    return media, {event.id: store.marks.of_event(event.id) for event in found}


def _found(store: Store, wanted: EventFilter) -> list[Event]:
    found = store.events.find(wanted)
    if not found:
        _nothing_found(store, wanted)
    return found


def _srt(store: Store, wanted: EventFilter) -> str:
    session = _one_watch(store, wanted)
    judged, events = store.verdicts.of_session(session), store.events.of_session(session)
    if not judged:
        raise JobError(
            f"the verdicts of the watch of {session.source} from {session.started_utc} are not kept any more"
        )
    typer.echo(
        f"the watch of {session.source} that began {session.started_utc}: {counted(len(judged), 'window')}", err=True
    )
    return format_srt(judged, events)


def _one_watch(store: Store, wanted: EventFilter) -> WatchSession:
    """Returns the watch session of the newest matching event; without events, the newest session of the source."""
    found = store.events.find(wanted)
    cameras = {event.camera_id or event.source: event.source for event in found}
    if len(cameras) > 1:
        names = Counter(cameras.values())
        told = sorted(name if names[name] == 1 else f"{camera} ({name})" for camera, name in cameras.items())
        raise UsageError(f"subtitles are of one source; choose with --source: {', '.join(told)}")
    watches = store.sessions.of_camera(wanted.source) if wanted.source else []
    held = store.sessions.of_event(found[-1].id) if found else None
    if held is None and not watches:
        raise UsageError(f"{store.name} has no watch with such events; `vigil events list` shows what there is")
    return held or watches[0]


@app.command("prune")
def prune_store(
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
    media_days: Annotated[str, typer.Option(help="Days that pictures and clips are kept, or never to delete.")] = "30",
    media_mb: Annotated[str, typer.Option(help="Megabytes that they may take; the oldest go first.")] = "10000",
    verdict_days: Annotated[str, typer.Option(help="Days that the log of verdicts is kept.")] = "30",
    event_days: Annotated[str, typer.Option(help="Days that events themselves are kept.")] = "never",
    also_marked: Annotated[
        bool, typer.Option("--also-marked", help="Also what people have marked, which is kept otherwise.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be deleted.")] = False,
) -> None:
    """Deletes what is too old or too much; `never` keeps it. Events that go on or are marked are not touched.

    Example: vigil events prune --media-days 7 --media-mb 2000
    """
    retention = RetentionSettings(
        media_days=_bound(media_days, "--media-days"),
        media_mb=_bound(media_mb, "--media-mb"),
        verdict_days=_bound(verdict_days, "--verdict-days"),
        event_days=_bound(event_days, "--event-days"),
    )
    with Store.open(store, folder=folder, create=False) as opened:
        pruned = prune(opened, retention, dry_run=dry_run, also_marked=also_marked)
    typer.echo(
        f"{'would delete' if dry_run else 'deleted'} {pruned.files} pictures and clips "
        f"({pruned.freed_bytes / 1e6:.1f} MB), {counted(pruned.verdicts, 'verdict')}, {counted(pruned.events, 'event')}"
    )


def _bound(word: str, option: str) -> float | None:
    if word == "never":
        return None
    try:
        return float(word)
    except ValueError as error:
        raise UsageError(f"{option} {word!r}: write a number, or never") from error
