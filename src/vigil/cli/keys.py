"""`vigil keys`: keys by which programs use the service, kept in the store.

vigil keys add dashboard --role viewer --scope events --scope live --expires 90d
vigil keys list
vigil keys revoke key_9f3c21ab
"""

import re
import time
from typing import Annotated

import typer
from rich.table import Table

from vigil.cli.event_table import strip_control_characters
from vigil.cli.help_panels import PanelCommand, command_group
from vigil.cli.main import wide_console
from vigil.cli.options import MediaFolderOption, StoreOption
from vigil.errors import UsageError
from vigil.store import DEFAULT_STORE, Store
from vigil.store.api_keys import SCOPES
from vigil.store.times import UNITS_S, format_utc, parse_time, utc_now
from vigil.store.users import Role

SPAN = re.compile(r"(\d{1,6})\s*([smhdw])")

app = command_group(
    "Make, list and revoke the keys by which programs use the service.",
    example="vigil keys add dashboard --role viewer --expires 90d",
)


@app.command(cls=PanelCommand)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    role: Annotated[
        Role, typer.Option(help="viewer reads; operator also marks, acknowledges and pauses; admin changes cameras.")
    ] = Role.VIEWER,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help=f"Only this part of the service ({', '.join(SCOPES)}). Default: all."),
    ] = None,
    expires: Annotated[
        str, typer.Option(metavar="TIME", help="When it ends: 90d, 12h, or a time such as 2027-01-01. Default: never.")
    ] = "",
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Make a key and print it, once: the store keeps only its digest.

    Send it as `Authorization: Bearer KEY`.

    Example: vigil keys add dashboard --role viewer --scope events --scope live --expires 90d
    """
    until = _expiry(expires)
    with Store.open(store, folder=folder) as opened:
        made = opened.api_keys.add(name, role, scopes=scope or (), expires_utc=until)
    typer.echo(made.secret)
    typer.echo(f"{made.id} is {made.role}, {f'valid until {until}' if until else 'valid until revoked'}", err=True)


def _expiry(word: str) -> str:
    """The end of a key in the store's format; raises UsageError if it is no time to come."""
    span = SPAN.fullmatch(word.strip().lower())
    if not word.strip():
        return ""
    if span:
        return format_utc(time.time() + int(span[1]) * UNITS_S[span[2]])
    try:
        until = parse_time(word, option="--expires")
    except UsageError as error:
        raise UsageError(
            f"--expires {word}: write how long the key is valid (90d, 12h), or a time to come (2027-01-31T18:00)"
        ) from error
    if until <= utc_now():
        raise UsageError(f"--expires {word}: that is over; write a time to come, or how long it is valid: 90d")
    return until


@app.command("list", cls=PanelCommand)
def list_keys(store: StoreOption = DEFAULT_STORE, folder: MediaFolderOption = None) -> None:
    """List the keys of a store: their roles, scopes and ends, never the keys themselves.

    Example: vigil keys list
    """
    with Store.open(store, folder=folder, create=False) as opened:
        found = opened.api_keys.all()
    if not found:
        typer.echo("there are no keys yet; `vigil keys add NAME` makes one", err=True)
        return
    table = Table("key", "name", "role", "scopes", "state", "made", "ends", box=None)
    now = utc_now()
    for key in found:
        scopes = " ".join(key.scopes) or "all"
        words = (key.id, key.name, key.role.value, scopes, key.state(now), key.created_utc, key.expires_utc or "never")
        table.add_row(*map(strip_control_characters, words))
    wide_console().print(table)


@app.command(cls=PanelCommand)
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Id of the key (key_...).")],
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Revoke a key for good; a running server refuses it within two seconds.

    Example: vigil keys revoke key_9f3c21ab
    """
    with Store.open(store, folder=folder, create=False) as opened:
        revoked = opened.api_keys.revoke(key)
    typer.echo(f"{revoked.id}, {revoked.name}, is revoked", err=True)
