"""`vigil cameras`: lists, renames and moves the cameras (and files) known to a store, and says which view is right.

vigil cameras list
vigil cameras rename cam_9f3c21ab "front door"
vigil cameras move "front door" camera.txt
vigil cameras view "front door"
"""

import getpass
from contextlib import suppress
from typing import Annotated

import typer
from rich.table import Table

from vigil.cli.event_table import strip_control_characters
from vigil.cli.help_panels import PanelCommand, command_group
from vigil.cli.hints import runnable
from vigil.cli.main import wide_console
from vigil.cli.options import MediaFolderOption, StoreOption
from vigil.errors import UsageError
from vigil.sources.address import find_sources
from vigil.store import DEFAULT_STORE, Store
from vigil.watch.camera_ids import record_of

app = command_group(
    "List, rename and move the cameras of an event store.", example="vigil cameras rename cam_9f3c21ab door"
)

CameraArgument = Annotated[str, typer.Argument(metavar="CAMERA", help="Id (cam_...) or name of the camera.")]


@app.command("list", cls=PanelCommand)
def list_cameras(store: StoreOption = DEFAULT_STORE, folder: MediaFolderOption = None) -> None:
    """List the cameras and files recorded in a store, by name.

    Example: vigil cameras list
    """
    with Store.open(store, folder=folder, create=False) as opened:
        found, events = opened.cameras.all(), opened.cameras.count_events()
        if not found:
            hint = runnable(f"`vigil watch SOURCE --store {opened.name}` adds some")
            typer.echo(f"{opened.name} has no cameras yet; {hint}", err=True)
            return
    table = Table("camera", "name", "kind", "address", "events", "last watched", box=None)
    for each in found:
        when = each.watched_utc or "-"
        cells = (each.id, each.name, each.kind or "-", each.address or "-", str(events.get(each.id, 0)), when)
        table.add_row(*map(strip_control_characters, cells))
    wide_console().print(table)


@app.command(cls=PanelCommand)
def rename(
    camera: CameraArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="New name of the camera.")],
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Rename a camera; its id and its events stay. A running watch uses the new name after a restart.

    Example: vigil cameras rename cam_9f3c21ab "front door"
    """
    with Store.open(store, folder=folder, create=False) as opened:
        renamed = opened.cameras.rename(camera, name)
    typer.echo(f"{renamed.id} is now called {renamed.name}", err=True)


@app.command(cls=PanelCommand)
def move(
    camera: CameraArgument,
    source: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="New address of the camera: a camera.txt file, a URL, a video file or a webcam number.",
        ),
    ],
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Set a new address for a camera; its id and its events stay.

    If another camera was recorded at the new address, its events become this camera's. Put an address with a password
    into a camera.txt file, because other users of this machine can read command lines.

    Example: vigil cameras move "front door" camera.txt
    """
    addresses = find_sources([source])
    if len(addresses) != 1:
        raise UsageError(f"{source} names {len(addresses)} sources; name the one that the camera is")
    record = record_of(addresses[0], "")
    with Store.open(store, folder=folder, create=False) as opened:
        found = opened.cameras.find(camera)
        other_id = opened.cameras.id_of(record.identity, addresses[0].name)
        _require_unwatched(opened, (found.id, other_id))
        moved = opened.cameras.move(found.id, record)
    typer.echo(f"{moved.id}, {moved.name}, is now at {moved.address}", err=True)


@app.command(cls=PanelCommand)
def view(camera: CameraArgument, store: StoreOption = DEFAULT_STORE, folder: MediaFolderOption = None) -> None:
    """Make what a camera shows now its right view, after it was turned on purpose.

    The rules about the camera compare with it: `moved`, `covered` and `blurred`. A running watch takes note within
    seconds, any other when it next begins; the views that were known before are forgotten.

    Example: vigil cameras view "front door"
    """
    with Store.open(store, folder=folder, create=False) as opened:
        found = opened.cameras.find(camera)
        if found.kind == "file":
            raise UsageError(f"{found.name} is a file, which has no usual view")
        opened.camera_views.ask(found.id)
        opened.audit.add("accept the view of a camera", who=_user(), details={"camera": found.name})
    typer.echo(f"{found.id}, {found.name}: what it shows when it is next seen is its right view", err=True)


def _user() -> str:
    """Who it is, for the audit table; a user of this machine need not have a name."""
    with suppress(OSError, KeyError):
        return f"{getpass.getuser()} (command line)"
    return "command line"


def _require_unwatched(store: Store, camera_ids: tuple[str, ...]) -> None:
    """Raises UsageError if one of the cameras is being watched: that watcher would keep writing under a removed id."""
    for camera_id in camera_ids:
        if not store.locks.take(camera_id):
            raise UsageError(f"{camera_id} is being watched into {store.name} now; stop that watch first")
