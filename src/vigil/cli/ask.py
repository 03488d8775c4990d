"""`vigil ask`: answers a question to the past from the events and observations of a store.

vigil ask "昨晚十点后门口有人打架吗" --since 24h
vigil ask "was a white van at the gate yesterday?" --camera gate --records
"""

import asyncio
import json
import sys
from contextlib import aclosing
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from vigil.cli.event_table import strip_control_characters
from vigil.cli.main import stderr_console, wide_console
from vigil.cli.options import (
    ENDPOINT,
    EVENTS,
    OUTPUT,
    CaFileOption,
    KeyFileOption,
    MediaFolderOption,
    ModelOption,
    StoreOption,
    UrlOption,
)
from vigil.cli.progress import progress_bar
from vigil.counted import counted
from vigil.history import (
    FoundRecords,
    HistoryAnswer,
    HistoryQuestion,
    HistoryRecord,
    answer_question,
    find_records,
    read_question,
)
from vigil.history.answer import NO_MODEL
from vigil.history.answer_record import answer_record
from vigil.history.citations import local_clock
from vigil.history.embedder import load_embedder
from vigil.history.meaning import MeaningIndex
from vigil.judge.endpoint import DEFAULT_URL, Endpoint, read_key
from vigil.store import DEFAULT_STORE, Store
from vigil.store.times import parse_time, shown


def ask(
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="What you want to know, in words; - reads it from standard input.")
    ],
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            rich_help_panel=EVENTS,
            help="From this time on, whatever the question says: a local time, or an age such as 24h.",
        ),
    ] = "",
    until: Annotated[
        str, typer.Option(metavar="TIME", rich_help_panel=EVENTS, help="Up to this time, written as for --since.")
    ] = "",
    camera: Annotated[
        str, typer.Option(metavar="CAMERA", rich_help_panel=EVENTS, help="Of this camera: its id or name.")
    ] = "",
    place: Annotated[
        str, typer.Option(metavar="PLACE", rich_help_panel=EVENTS, help="Of the cameras at this place.")
    ] = "",
    url: UrlOption = DEFAULT_URL,
    model: ModelOption = "",
    key_file: KeyFileOption = None,
    ca_file: CaFileOption = None,
    records: Annotated[
        bool, typer.Option("--records", rich_help_panel=ENDPOINT, help="Only list what was found; ask no model.")
    ] = False,
    meaning: Annotated[
        bool,
        typer.Option(
            "--meaning",
            rich_help_panel=EVENTS,
            help="Search by meaning too (extra `meaning`); first makes the vectors that are missing, newest first.",
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, rich_help_panel=OUTPUT, help="Find at most N records.")
    ] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print the answer and its records as JSON.")
    ] = False,
) -> None:
    """Answer a question from recorded events and observations, each sentence with the records it rests on.

    The question may name a time and cameras. Without a reachable model the records are listed.

    Example: vigil ask "did anyone fight at the back door last night after ten?"
    """
    endpoint = None if records else Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=ca_file)
    with Store.open(store, folder=folder, create=False) as opened:
        asked = read_question(
            sys.stdin.read() if question == "-" else question,
            opened.cameras.all(),
            now=datetime.now(),
            since_utc=parse_time(since, option="--since") if since else None,
            until_utc=parse_time(until, option="--until") if until else None,
            camera=camera,
            place=place,
        )
        index = _meaning_index(opened, asked) if meaning else None
        found = find_records(opened, asked, limit=limit, meaning=index)
    if not as_json:
        stderr_console().print(strip_control_characters(_understood(asked, found)), style="dim")
    answer = asyncio.run(_answered(asked, found, endpoint))
    if as_json:
        typer.echo(json.dumps(answer_record(answer), ensure_ascii=False, indent=2))
    else:
        _print(answer)


async def _answered(asked: HistoryQuestion, found: FoundRecords, endpoint: Endpoint | None) -> HistoryAnswer:
    """The answer; how far the model has come is shown meanwhile."""
    letters = 0
    with stderr_console().status("asking the model") as status:
        async with aclosing(answer_question(asked, found, endpoint)) as steps:
            async for step in steps:
                if isinstance(step, HistoryAnswer):
                    return step
                letters += len(step)
                status.update(f"the model answers: {letters} characters")
    raise AssertionError("an answer ends with itself")


def _meaning_index(store: Store, asked: HistoryQuestion) -> MeaningIndex:
    """The index by meaning, up to date for the question; whoever stops it goes on there the next time."""
    index = MeaningIndex(store, load_embedder())
    missing = store.observation_vectors.count_missing(asked.span)
    with progress_bar("indexing observations") as progress:
        index.index_missing(asked.span, progress=lambda done: progress(done, missing, ""))
    return index


def _understood(asked: HistoryQuestion, found: FoundRecords) -> str:
    """What is looked for, from when until when and where, so that a misunderstanding is seen."""
    since, until = (utc and _local(utc) for utc in (asked.span.since_utc, asked.span.until_utc))
    when = f"{since or 'the beginning'} to {until or 'now'}" if asked.said_time else "all that is stored"
    where = ", ".join(camera.name for camera in asked.cameras) or "all cameras"
    there = f"{counted(found.events, 'event')} and {counted(found.observations, 'observation')} there"
    by = " | by words and meaning" if found.meaning == "on" and asked.words else ""
    return f"searched: {asked.words or 'everything'} | {when} | {where} | {there}{by}"


def _print(answer: HistoryAnswer) -> None:
    out = wide_console()
    if answer.outcome == "nothing_recorded":
        out.print(_nothing(answer))
        return
    if answer.trouble and answer.trouble != NO_MODEL:
        stderr_console().print(
            strip_control_characters(f"no model has answered, so here is what was found: {answer.trouble}")
        )
    for sentence in answer.sentences:
        cited = f" [{', '.join(sentence.refs)}]" if sentence.refs else " [rests on no record]"
        out.print(strip_control_characters(sentence.text + cited))
    if answer.unknown_refs:
        stderr_console().print(
            f"taken off, as there are no such records: {', '.join(answer.unknown_refs)}", markup=False
        )
    out.print(_table(answer))


def _nothing(answer: HistoryAnswer) -> str:
    """That nothing was recorded, and of how much."""
    found = answer.found
    if not found.events and not found.observations:
        watched = "although cameras were watched" if found.watches else "and no camera was watched then"
        return f"nothing was recorded: there is no event and no observation, {watched}"
    other = "" if found.meaning == "on" else "; --meaning also finds what is said in other words"
    return (
        f"nothing that matches was recorded, among {counted(found.events, 'event')} and "
        f"{counted(found.observations, 'observation')}{other}"
    )


def _table(answer: HistoryAnswer) -> Table:
    """The records that are cited, or all where no model has answered."""
    cited = {ref for sentence in answer.sentences for ref in sentence.refs}
    table = Table("ref", "when", "camera", "what", "description", box=None)
    for record in answer.found.records:
        if not answer.sentences or record.ref in cited:
            table.add_row(record.ref, _local(record.happened_utc), *map(strip_control_characters, _shown(record)))
    return table


def _shown(record: HistoryRecord) -> tuple[str, str, str]:
    camera = f"{record.camera} ({record.place})" if record.place else record.camera
    mark = f", {record.mark.replace('_', ' ')}" if record.mark else ""
    kind = f"{record.rule} ({record.tier}{mark}) {record.id.rsplit('-', 1)[-1]}" if record.kind == "event" else ""
    return camera, kind or "observation", record.text or "(not described)"


def _local(utc: str) -> str:
    return shown(local_clock(utc))
