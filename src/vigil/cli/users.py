"""`vigil users`: the people who may sign in to the web pages and the service, kept in the store.

vigil users add lena --role operator
vigil users list
vigil users role lena admin
"""

import getpass
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from vigil.cli.event_table import strip_control_characters
from vigil.cli.help_panels import PanelCommand, command_group
from vigil.cli.main import wide_console
from vigil.cli.options import MediaFolderOption, StoreOption
from vigil.errors import UsageError
from vigil.files import explain_os_error
from vigil.store import DEFAULT_STORE, Store
from vigil.store.users import Role

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024

app = command_group(
    "Add, list, change and remove the users of the web pages and the service.",
    example="vigil users add lena --role operator",
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="File whose first line is the password (- is standard input). Default: ask."),
]


@app.command(cls=PanelCommand)
def add(
    name: NameArgument,
    role: Annotated[
        Role,
        typer.Option(help="viewer looks; operator also marks, acknowledges and pauses; admin also changes cameras."),
    ] = Role.OPERATOR,
    password_file: PasswordFileOption = None,
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Add a user; the password is asked for, or read from a file, and stored as an argon2 hash.

    A running server knows the user within two seconds.

    Example: vigil users add lena --role operator
    """
    hashed = _hasher()(_password(password_file))
    with Store.open(store, folder=folder) as opened:
        added = opened.users.add(name, role, password_hash=hashed)
    typer.echo(f"{added.name} may sign in as {added.role}", err=True)


@app.command("list", cls=PanelCommand)
def list_users(store: StoreOption = DEFAULT_STORE, folder: MediaFolderOption = None) -> None:
    """List the users of a store, by name; those of a --auth file are not in it.

    Example: vigil users list
    """
    with Store.open(store, folder=folder, create=False) as opened:
        found = opened.users.all()
    if not found:
        typer.echo("there are no users yet; `vigil users add NAME` adds one", err=True)
        return
    table = Table("name", "role", "since", box=None)
    for each in found:
        table.add_row(strip_control_characters(each.name), each.role.value, each.created_utc)
    wide_console().print(table)


@app.command(cls=PanelCommand)
def role(
    name: NameArgument,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Give a user another role, from now on and in open sessions too.

    Example: vigil users role lena admin
    """
    with Store.open(store, folder=folder, create=False) as opened:
        opened.users.set_role(name, role)
    typer.echo(f"{name} is {role} now", err=True)


@app.command(cls=PanelCommand)
def password(
    name: NameArgument,
    password_file: PasswordFileOption = None,
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Give a user another password, which ends the open sessions of that user.

    Example: vigil users password lena
    """
    hashed = _hasher()(_password(password_file))
    with Store.open(store, folder=folder, create=False) as opened:
        opened.users.set_password(name, hashed)
    typer.echo(f"{name} has a new password", err=True)


@app.command(cls=PanelCommand)
def remove(name: NameArgument, store: StoreOption = DEFAULT_STORE, folder: MediaFolderOption = None) -> None:
    """Remove a user, whose open sessions end with it.

    Example: vigil users remove lena
    """
    with Store.open(store, folder=folder, create=False) as opened:
        opened.users.remove(name)
    typer.echo(f"{name} is removed", err=True)


def _hasher() -> Callable[[str], str]:
    if find_spec("argon2") is None:
        raise UsageError("users need packages that are not installed; run: pip install 'vigil[service]'")
    from argon2 import PasswordHasher

    return lambda password: PasswordHasher().hash(password.encode(errors="surrogatepass"))


def _password(file: Path | None) -> str:
    """The password from a file, standard input or a prompt: others can read command lines in `ps`."""
    if file is not None:
        given = _first_line(file)
    elif sys.stdin.isatty():
        given = getpass.getpass("password: ")
        if getpass.getpass("again: ") != given:
            raise UsageError("the two passwords are not the same; nothing was changed")
    else:
        raise UsageError("there is no terminal to ask for the password; name a file with --password-file, or -")
    if not SHORTEST_PASSWORD <= len(given) <= LONGEST_PASSWORD:
        raise UsageError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return given


def _first_line(file: Path) -> str:
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = explain_os_error(error, file) if isinstance(error, OSError) else f"{file} is not UTF-8 text"
        raise UsageError(f"--password-file: {why}") from error
    return text.partition("\n")[0].rstrip("\r")
