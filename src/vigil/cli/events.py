"""`vigil events`: lists, shows, marks, exports and deletes the events in a store.

vigil events list --since 2h --tier medium
vigil events show 9f3c21ab
vigil events mark 9f3c21ab false-alarm --note "two boys play"
vigil events missed --since 7d
vigil events export --format csv --out events.csv
vigil events prune --media-days 7
"""

import getpass
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, cast

import typer

from vigil.cli.event_table import list_table, missed_table, show_event
from vigil.cli.help_panels import PanelCommand, command_group
from vigil.cli.hints import runnable
from vigil.cli.main import wide_console
from vigil.cli.options import EVENTS, OUTPUT, MediaFolderOption, StoreOption
from vigil.counted import counted
from vigil.errors import JobError, UsageError
from vigil.events import Event, Tier
from vigil.report.event_export import (
    EventMarks,
    EventMediaFiles,
    as_csv,
    as_json,
    missed_as_csv,
    missed_as_json,
)
from vigil.report.subtitles import format_srt
from vigil.store import DEFAULT_STORE, EventFilter, MarkFilter, MarkValue, RetentionSettings, Store, WatchSession, prune
from vigil.store.missed_spans import MissedFilter
from vigil.store.times import parse_time

app = command_group(
    "List, show, mark, export and delete events that `vigil watch` recorded.",
    example="vigil events list --since 2h --tier medium",
)

ExportFormat: TypeAlias = Literal["json", "csv", "srt"]

EventArgument = Annotated[
    str, typer.Argument(metavar="EVENT", help="Id of the event; its first or last characters are enough.")
]
SinceOption = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        rich_help_panel=EVENTS,
        help="From this time on: a local time such as 2026-11-20T11:50, or an age such as 2h or 7d.",
    ),
]
UntilOption = Annotated[
    str, typer.Option(metavar="TIME", rich_help_panel=EVENTS, help="Up to this time, written as for --since.")
]
SourceOption = Annotated[
    str,
    typer.Option(
        metavar="CAMERA", rich_help_panel=EVENTS, help="Of this camera or file: its id or name (vigil cameras list)."
    ),
]
TierOption = Annotated[Tier | None, typer.Option(rich_help_panel=EVENTS, help="Of at least this tier.")]
MarkOption = Annotated[
    Literal["true", "false-alarm", "unsure", "unmarked"] | None,
    typer.Option(rich_help_panel=EVENTS, help="With this mark."),
]
RuleOption = Annotated[str, typer.Option(metavar="NAME", rich_help_panel=EVENTS, help="Made by the rule of this name.")]
LabelOption = Annotated[
    str, typer.Option("--class", metavar="CLASS", rich_help_panel=EVENTS, help="Of this class, as corrected by users.")
]
TextOption = Annotated[
    str, typer.Option(metavar="TEXT", rich_help_panel=EVENTS, help="With this text in the description or the notes.")
]
LimitOption = Annotated[int | None, typer.Option(metavar="N", rich_help_panel=EVENTS, help="Only the newest N.", min=1)]


def _filter(
    *,
    since: str,
    until: str,
    source: str,
    tier: Tier | None,
    mark: str | None,
    rule: str,
    label: str,
    text: str,
    limit: int | None = None,
) -> EventFilter:
    return EventFilter(
        since_utc=parse_time(since, option="--since") if since else None,
        until_utc=parse_time(until, option="--until") if until else None,
        source=source or None,
        tier=tier,
        mark=cast("MarkFilter", mark.replace("-", "_")) if mark else None,
        rule=rule,
        label=label,
        text=text,
        limit=limit,
    )


@app.command("list", cls=PanelCommand)
def list_events(
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    source: SourceOption = "",
    tier: TierOption = None,
    mark: MarkOption = None,
    rule: RuleOption = "",
    label: LabelOption = "",
    text: TextOption = "",
    limit: LimitOption = 50,
) -> None:
    """List events, the oldest first.

    For video files, --since and --until refer to the time at which the event was found.

    Example: vigil events list --since 2h --tier medium --text 打架
    """
    wanted = _filter(
        since=since,
        until=until,
        source=source,
        tier=tier,
        mark=mark,
        rule=rule,
        label=label,
        text=text,
        limit=limit,
    )
    with Store.open(store, folder=folder, create=False) as opened:
        found = opened.events.find(wanted)
        if not found:
            _nothing_found(opened, wanted)
            return
        marks = opened.marks.newest([event.id for event in found])
        missed = opened.missed_spans.count(
            MissedFilter(since_utc=wanted.since_utc, until_utc=wanted.until_utc, source=source)
        )
    wide_console().print(list_table(found, marks))
    if missed:
        typer.echo(f"and {counted(missed, 'missed incident')}; `vigil events missed` lists them", err=True)
    if limit is not None and len(found) == limit:
        typer.echo(f"the newest {limit}; --limit shows more", err=True)


def _nothing_found(store: Store, wanted: EventFilter) -> None:
    if wanted == EventFilter(limit=wanted.limit):
        found = runnable(f"`vigil watch SOURCE --store {store.name}` finds some")
        typer.echo(f"{store.name} holds no events yet; {found}", err=True)
        return
    known = store.events.sources()
    has = f"it has events of: {', '.join(known)}" if known else "it holds no events at all"
    typer.echo(f"no event in {store.name} matches; {has}. Remove some conditions", err=True)


@app.command(cls=PanelCommand)
def show(
    event: EventArgument,
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Show one event: its times, windows and probabilities, marks and files.

    Example: vigil events show 9f3c21ab
    """
    with Store.open(store, folder=folder, create=False) as opened:
        found = opened.events.get(event)
        show_event(wide_console(), found, opened.media.of_event(found.id), opened.marks.of_event(found.id))


@app.command(cls=PanelCommand)
def mark(
    event: EventArgument,
    as_: Annotated[
        Literal["true", "false-alarm", "unsure", "none"],
        typer.Argument(metavar="MARK", help="true, false-alarm or unsure; none removes the mark."),
    ],
    note: Annotated[str, typer.Option(metavar="TEXT", help="Reason for the mark.")] = "",
    label: Annotated[
        str, typer.Option("--class", metavar="CLASS", help="What a true alarm really shows, if its class is wrong.")
    ] = "",
    who: Annotated[str, typer.Option(metavar="NAME", help="Who marks it. Default: the current user.")] = "",
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Mark an event as true, false alarm or unsure; earlier marks stay in its history.

    Example: vigil events mark 9f3c21ab false-alarm --note "two boys play"
    """
    word = cast("MarkValue", "" if as_ == "none" else as_.replace("-", "_"))
    with Store.open(store, folder=folder, create=False) as opened:
        marked = opened.marks.add(opened.events.get(event).id, word, who=who or _user(), note=note, label=label)
    typer.echo(f"event {marked.event_id}: {as_}, marked by {marked.who}", err=True)


@app.command("missed", cls=PanelCommand)
def list_missed(
    format: Annotated[
        Literal["table", "json", "csv"], typer.Option(rich_help_panel=OUTPUT, help="How they are printed.")
    ] = "table",
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    source: SourceOption = "",
    text: TextOption = "",
) -> None:
    """List missed incidents, the newest first: what people saw that raised no event (marked in the review).

    Example: vigil events missed --since 7d --format csv
    """
    wanted = MissedFilter(
        since_utc=parse_time(since, option="--since") if since else None,
        until_utc=parse_time(until, option="--until") if until else None,
        source=source,
        text=text,
    )
    with Store.open(store, folder=folder, create=False) as opened:
        found = opened.missed_spans.find(wanted)
    if format == "json":
        typer.echo(missed_as_json(found), nl=False)
    elif format == "csv":
        typer.echo(missed_as_csv(found), nl=False)
    elif found:
        wide_console().print(missed_table(found))
    else:
        typer.echo("no missed incidents; people mark them on the timeline of a camera in the review", err=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise UsageError("this user has no name here; say who marks the event with --who NAME") from error


@app.command(cls=PanelCommand)
def export(
    format: Annotated[
        ExportFormat | None,
        typer.Option(rich_help_panel=OUTPUT, help="Output format. Default: by the extension of --out, else json."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=OUTPUT, help="File to write. Default: standard output."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    source: SourceOption = "",
    tier: TierOption = None,
    mark: MarkOption = None,
    rule: RuleOption = "",
    label: LabelOption = "",
    text: TextOption = "",
    limit: LimitOption = None,
) -> None:
    """Export events as JSON, CSV or subtitles (SRT).

    Subtitles cover one watch of one source.

    Example: vigil events export --since 7d --out events.csv
    """
    wanted = _filter(
        since=since,
        until=until,
        source=source,
        tier=tier,
        mark=mark,
        rule=rule,
        label=label,
        text=text,
        limit=limit,
    )
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
    seen = store.acknowledgements.of_events([event.id for event in found])
    return as_json(found, *_belongings(store, found), seen)


def _csv(store: Store, wanted: EventFilter) -> str:
    found = _found(store, wanted)
    return as_csv(found, *_belongings(store, found))


def _belongings(store: Store, found: list[Event]) -> tuple[EventMediaFiles, EventMarks]:
    ids = [event.id for event in found]
    return store.media.of_events(ids), store.marks.of_events(ids)


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
        choices = sorted(name if names[name] == 1 else f"{camera} ({name})" for camera, name in cameras.items())
        raise UsageError(f"subtitles are of one source; choose with --source: {', '.join(choices)}")
    watches = store.sessions.of_camera(wanted.source) if wanted.source else []
    held = store.sessions.of_event(found[-1].id) if found else None
    if held is None and not watches:
        raise UsageError(f"{store.name} has no watch with such events; `vigil events list` shows what there is")
    return held or watches[0]


@app.command("media", cls=PanelCommand)
def place_media(
    bucket: Annotated[
        str, typer.Argument(metavar="[s3://BUCKET[/PREFIX]]", help="Keep them in this bucket from now on.")
    ] = "",
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Show where a store keeps its pictures and clips, or have a new one keep them in a bucket.

    Any server of the S3 protocol will do. Keys and its address come from the environment: AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL. Needs the extra `s3`.

    Example: vigil events media s3://evidence/gate
    """
    with Store.open(store, folder=folder, create=bool(bucket), media=bucket) as opened:
        typer.echo(opened.media.files.name)


@app.command("prune", cls=PanelCommand)
def prune_store(
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
    media_days: Annotated[
        str, typer.Option(metavar="DAYS", help="Days to keep pictures and clips, or `never` to delete none.")
    ] = "30",
    media_mb: Annotated[
        str,
        typer.Option(
            metavar="MB",
            help="Maximum size of all pictures and clips in megabytes, or `never`; the oldest are deleted first.",
        ),
    ] = "10000",
    verdict_days: Annotated[
        str, typer.Option(metavar="DAYS", help="Days to keep the log of verdicts, or `never` to delete none.")
    ] = "30",
    observation_days: Annotated[
        str, typer.Option(metavar="DAYS", help="Days to keep observations, or `never` to delete none.")
    ] = "30",
    event_days: Annotated[
        str, typer.Option(metavar="DAYS", help="Days to keep events themselves, or `never` to delete none.")
    ] = "never",
    also_marked: Annotated[
        bool, typer.Option("--also-marked", help="Also delete marked events and their files, which are kept otherwise.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be deleted; delete nothing.")] = False,
) -> None:
    """Delete old pictures, clips, verdicts, observations and events; open events are never touched.

    Example: vigil events prune --media-days 7 --media-mb 2000
    """
    retention = RetentionSettings(
        media_days=_bound(media_days, "--media-days"),
        media_mb=_bound(media_mb, "--media-mb"),
        verdict_days=_bound(verdict_days, "--verdict-days"),
        observation_days=_bound(observation_days, "--observation-days"),
        event_days=_bound(event_days, "--event-days"),
    )
    with Store.open(store, folder=folder, create=False) as opened:
        pruned = prune(opened, retention, dry_run=dry_run, also_marked=also_marked)
    typer.echo(
        f"{'would delete' if dry_run else 'deleted'} {pruned.files} pictures and clips "
        f"({pruned.freed_bytes / 1e6:.1f} MB), {counted(pruned.verdicts, 'verdict')}, "
        f"{counted(pruned.observations, 'observation')}, {counted(pruned.events, 'event')}"
    )


def _bound(word: str, option: str) -> float | None:
    if word == "never":
        return None
    try:
        return float(word)
    except ValueError as error:
        raise UsageError(f"{option} {word!r}: write a number, or never") from error
