"""`vigil alerts`: shows what was sent to the sinks of alerts, sends it again, and tests a sink.

vigil alerts list --state dead
vigil alerts send --sink control-room
vigil alerts test control-room --config cameras.yaml
"""

import asyncio
import time
from typing import Annotated, Literal

import typer
from rich.table import Table

from vigil.alerts import AlertMessage, AlertSettings, AnySink, Outbox, build_sink
from vigil.alerts.message import compose
from vigil.alerts.sink_worker import consumer_of
from vigil.cli.event_table import strip_control_characters
from vigil.cli.help_panels import PanelCommand, command_group
from vigil.cli.hints import runnable
from vigil.cli.main import wide_console
from vigil.cli.options import MediaFolderOption, StoreOption
from vigil.errors import DeliveryError, JobError, UsageError
from vigil.events import Event, Tier, new_id
from vigil.history.scheduled_report import write_report
from vigil.store import DEFAULT_STORE, Store
from vigil.store.deliveries import Delivery
from vigil.store.event_record import event_record
from vigil.store.times import utc_now
from vigil.watch.settings import load_watch_settings

app = command_group(
    "List deliveries of alerts, send them again, test a sink.", example="vigil alerts list --state dead"
)

LOOK_S = 0.1

ConfigOption = Annotated[
    str, typer.Option(metavar="NAME", help="Watch settings with the sinks: a name in configs/watch or a YAML file.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting. May be repeated.")
]
SinkOption = Annotated[str, typer.Option("--sink", metavar="SINK", help="Only those of this sink.")]
NumberArgument = Annotated[int, typer.Argument(metavar="DELIVERY", help="Number of the delivery, from `list`.")]


@app.command("list", cls=PanelCommand)
def list_deliveries(
    sink: SinkOption = "",
    state: Annotated[
        Literal["waiting", "delivered", "dead", "skipped"] | None,
        typer.Option(help="Only those in this state; `dead` are those that were given up."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most this many, the newest.")] = 50,
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """List what was sent to the sinks, is waiting to be sent, or was given up, oldest first.

    Example: vigil alerts list --state dead
    """
    with Store.open(store, folder=folder, create=False) as opened:
        found = opened.deliveries.find(sink=sink, state=state, limit=limit)
    if not found:
        typer.echo(f"{opened.name} has no such deliveries", err=True)
        return
    table = Table("delivery", "sink", "state", "kind", "camera", "event", "attempts", "planned", "detail", box=None)
    for each in found:
        words = (str(each.id), each.sink, each.state, each.kind, str(each.event["source"]), each.event_id)
        more = (str(each.attempts), each.created_utc, each.detail)
        table.add_row(*map(strip_control_characters, (*words, *more)))
    wide_console().print(table)


@app.command(cls=PanelCommand)
def show(delivery: NumberArgument, store: StoreOption = DEFAULT_STORE, folder: MediaFolderOption = None) -> None:
    """Show a delivery and every attempt to send it.

    Example: vigil alerts show 12
    """
    with Store.open(store, folder=folder, create=False) as opened:
        found, attempts = opened.deliveries.get(delivery)
    table = Table.grid(padding=(0, 2))
    rows = {
        "sink": found.sink,
        "state": found.state,
        "key": found.key,
        "kind": found.kind,
        "camera": str(found.event["source"]),
        "event": found.event_id,
        "incident": found.incident_id or "-",
        "planned": found.created_utc,
        "due": found.due_utc if found.state == "waiting" else "-",
        "detail": found.detail or "-",
    }
    rows |= {f"attempt {each.number}": f"{each.tried_utc}  {each.outcome}  {each.detail}" for each in attempts}
    for name, value in rows.items():
        table.add_row(name, strip_control_characters(value))
    wide_console().print(table)


@app.command(cls=PanelCommand)
def send(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="DELIVERY", help="Numbers of deliveries. Default: all that wait.")
    ] = None,
    sink: SinkOption = "",
    config: ConfigOption = "default",
    set_: SetOption = None,
    wait: Annotated[float, typer.Option(metavar="S", min=0, help="Seconds to wait for the outcome.")] = 30.0,
    store: Annotated[
        str | None,
        typer.Option(metavar="STORE", envvar="VIGIL_STORE", help="Event store. Default: as in the settings."),
    ] = None,
    folder: MediaFolderOption = None,
) -> None:
    """Send deliveries again that were given up or are waiting; their keys stay the same.

    A watch that is running for the sink sends them; otherwise this command does.

    Example: vigil alerts send --sink control-room --config cameras.yaml
    """
    settings = load_watch_settings(config, {} if store is None else {"store": store}, set_ or [])
    with Store.open(settings.store, folder=folder or settings.store_folder, create=False) as opened:
        again = opened.deliveries.send_again(numbers or (), sink=sink)
        if not again:
            typer.echo(f"{opened.name} has nothing to send", err=True)
            return
        missing = sorted({each.sink for each in again} - {each.name for each in settings.alerts.sinks})
        if missing:
            raise UsageError(f"the settings have no sink {missing[0]!r}; name those that have it with --config")
        left = _await_delivery(opened, settings.alerts, again, wait_s=wait)
    typer.echo(f"{len(again) - len(left)} of {len(again)} delivered", err=True)
    if left:
        raise JobError(f"not delivered: {', '.join(f'{each.id} ({each.detail})' for each in left)}")


def _await_delivery(store: Store, alerts: AlertSettings, again: list[Delivery], *, wait_s: float) -> list[Delivery]:
    """Sends, and returns the deliveries that are not delivered in time."""
    until_s = time.monotonic() + wait_s
    with Outbox(alerts, store, write_report=write_report) as outbox:
        outbox.wake()
        left = again
        while True:
            left = [now for each in left if (now := store.deliveries.get(each.id)[0]).state != "delivered"]
            if not left or time.monotonic() >= until_s:
                return left
            time.sleep(LOOK_S)


@app.command(cls=PanelCommand)
def test(
    sink: Annotated[str, typer.Argument(metavar="SINK", help="Name of the sink in the settings.")],
    config: ConfigOption = "default",
    set_: SetOption = None,
) -> None:
    """Send a test message to one sink, now, past its tiers and quiet hours.

    Example: vigil alerts test control-room --config cameras.yaml
    """
    alerts = load_watch_settings(config, {}, set_ or []).alerts
    settings = alerts.sink(sink)
    try:
        asyncio.run(_send_test(settings, _test_message(settings, alerts)))
    except DeliveryError as error:
        raise JobError(f"{sink}: {error}") from error
    typer.echo(f"{sink} took the test message", err=True)


async def _send_test(settings: AnySink, message: AlertMessage) -> None:
    sink = build_sink(settings)
    try:
        async with asyncio.timeout(settings.deadline_s):
            await sink.send(message)
    except TimeoutError as error:
        raise DeliveryError(f"no answer within {settings.deadline_s:g} s", is_unreachable=True) from error
    finally:
        await sink.close()


def _test_message(settings: AnySink, alerts: AlertSettings) -> AlertMessage:
    event = Event(
        id=new_id(),
        source="test",
        onset_s=0.0,
        end_s=0.0,
        peak=1.0,
        peak_s=0.0,
        tier=Tier.HIGH,
        windows=(),
        epoch_s=time.time(),
        text="This is a test.",
        task="fight",
    )
    now = utc_now()
    delivery = Delivery(
        sink=settings.name,
        incident_id=event.id,
        revision=1,
        event_id=event.id,
        camera_id="",
        scope="test",
        kind="test",
        sequence=0,
        event=event_record(event),
        happened_utc=now,
        active_utc=now,
    )
    return compose(delivery, alerts)


@app.command(cls=PanelCommand)
def forget(
    sink: Annotated[str, typer.Argument(metavar="SINK", help="Name of a sink that the settings no longer have.")],
    store: StoreOption = DEFAULT_STORE,
    folder: MediaFolderOption = None,
) -> None:
    """Forget a sink that was removed: changes are no longer kept for it. Under the same name it starts anew.

    Example: vigil alerts forget control-room
    """
    with Store.open(store, folder=folder, create=False) as opened:
        consumer = consumer_of(sink)
        if (consumer, "") not in opened.cursors.all():
            hint = runnable("`vigil alerts list` shows what was sent")
            raise UsageError(f"{opened.name} knows no sink {sink!r}; {hint}")
        for each in (consumer, f"{consumer}:escalations"):
            opened.cursors.forget(each)
    typer.echo(f"{sink} is forgotten", err=True)
