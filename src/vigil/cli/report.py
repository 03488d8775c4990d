"""`vigil report`: the report of a day or a shift as Markdown, with a summary by the served model, and by e-mail.

vigil report --day 2026-11-29 --out report.md
vigil report --shift 22:00-06:00 --mail office --config cameras.yaml
"""

import asyncio
import logging
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from vigil.alerts.settings import MailSettings
from vigil.alerts.smtp import MailSink
from vigil.cli.options import (
    ENDPOINT,
    OUTPUT,
    CaFileOption,
    KeyFileOption,
    MediaFolderOption,
    ModelOption,
    StoreOption,
    UrlOption,
)
from vigil.errors import UsageError
from vigil.files import write_atomically
from vigil.history.report_markdown import report_markdown, report_title
from vigil.history.report_summary import summarise
from vigil.history.shift_report import last_span, shift_report, shift_span
from vigil.history.time_phrases import TimeRange
from vigil.judge.endpoint import DEFAULT_URL, Endpoint, read_key
from vigil.rules.shift import zone_of
from vigil.store import DEFAULT_STORE, Store
from vigil.watch.settings import load_watch_settings

log = logging.getLogger(__name__)

MAIL = "E-mail"


def report(
    day: Annotated[
        str, typer.Option(metavar="DATE", help="The day, or the day on which the shift begins. Default: the last one.")
    ] = "",
    shift: Annotated[
        str, typer.Option(metavar="FROM-TO", help="A shift of local time, such as 22:00-06:00. Default: the whole day.")
    ] = "",
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Time zone, such as Europe/Berlin. Default: that of this machine.")
    ] = "",
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
    language: Annotated[
        Literal["en", "zh"], typer.Option(rich_help_panel=OUTPUT, help="Language of the report.")
    ] = "en",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", rich_help_panel=OUTPUT, help="Markdown file. Default: the terminal.")
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", rich_help_panel=ENDPOINT, help="Have the served model write a summary.")
    ] = False,
    url: UrlOption = DEFAULT_URL,
    model: ModelOption = "",
    key_file: KeyFileOption = None,
    ca_file: CaFileOption = None,
    mail: Annotated[
        str, typer.Option(metavar="SINK", rich_help_panel=MAIL, help="Also send it by this sink of type email.")
    ] = "",
    config: Annotated[
        str,
        typer.Option(metavar="NAME", rich_help_panel=MAIL, help="Watch settings with the sink: a name or a YAML file."),
    ] = "default",
) -> None:
    """Report a day or a shift: events by camera, tier, rule and hour, marks, what nobody looked at, outages.

    Example: vigil report --day 2026-11-29 --shift 22:00-06:00 --out night.md
    """
    sink = _mail_sink(mail, config) if mail else None
    endpoint = Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=ca_file) if summary else None
    span = _span(day, shift, timezone)
    with Store.open(store, folder=folder, create=False) as opened:
        found = shift_report(opened, span)
        told = None if endpoint is None else asyncio.run(summarise(opened, found, endpoint, language=language))
    if told is not None and told.trouble:
        log.warning("the report has no summary: %s", told.trouble)
    text = report_markdown(found, language=language, summary=told)
    _write(text, out)
    if sink is not None:
        asyncio.run(sink.send_text(report_title(found, language=language), text))
        log.info("the report was sent by %s", mail)


def _span(day: str, shift: str, timezone: str) -> TimeRange:
    """The time that is reported; raises UsageError."""
    try:
        zone = zone_of(timezone)
        if day:
            return shift_span(day=_date(day), shift=shift, timezone=timezone)
        return last_span(datetime.now(zone), shift=shift, timezone=timezone)
    except UsageError as error:
        # The options are called as what is wrong with them.
        raise UsageError(f"--{error}" if str(error).startswith("shift ") else str(error)) from error


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_atomically(out, text)


def _date(word: str) -> date:
    try:
        return date.fromisoformat(word.strip())
    except ValueError as error:
        raise UsageError(f"--day {word!r}: write a date such as 2026-11-29") from error


def _mail_sink(name: str, config: str) -> MailSink:
    sinks = load_watch_settings(config, {}, []).alerts.sinks
    found = next((each for each in sinks if each.name == name), None)
    if not isinstance(found, MailSettings):
        mails = ", ".join(each.name for each in sinks if isinstance(each, MailSettings))
        raise UsageError(f"the settings {config} have no sink {name!r} of type email (those are: {mails or 'none'})")
    return MailSink(found)
