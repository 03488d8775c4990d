"""Shows a running watch on stderr: a live table on a terminal, lines in a log elsewhere."""

import logging
import threading
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from vigil.cli.main import stderr_console
from vigil.counted import counted
from vigil.events import EventChange, Tier
from vigil.verdict import Cause
from vigil.watch import SourceState, Watcher, WatchObserver, WatchSummary
from vigil.watch.state import SourceStatus

log = logging.getLogger(__name__)

REFRESHES_A_SECOND = 4
LINES = 24
"""Sources shown at once; those with an open event and those with a fault come first."""

REPORT_EVERY_S = 30.0
TIER_STYLES = {Tier.LOW: "yellow", Tier.MEDIUM: "dark_orange", Tier.HIGH: "bold red"}
STAGE_STYLES = {
    SourceStatus.LOST: "red",
    SourceStatus.UNREADABLE: "red",
    SourceStatus.ENDED: "dim",
    SourceStatus.WATCHING: "green",
}
TROUBLED = {SourceStatus.LOST, SourceStatus.UNREADABLE}
RESTING = {SourceStatus.ENDED, SourceStatus.WAITING}


class WatchTable(WatchObserver):
    """An observer that shows a watch on stderr."""

    def __init__(self, *, stderr: Console | None = None) -> None:
        self._console = stderr or stderr_console()
        self._watch: Watcher | None = None
        self._live = Live(console=self._console, refresh_per_second=REFRESHES_A_SECOND, get_renderable=self._render)
        self._lost: set[str] = set()
        self._over = threading.Event()

    def follow(self, watch: Watcher) -> None:
        """Sets the watch to show."""
        self._watch = watch

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            threading.Thread(target=self._report_for_ever, name="table", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._console.is_terminal:
            self._live.stop()

    def on_state(self, state: SourceState) -> None:
        if state.stage is SourceStatus.LOST and state.name in self._lost:
            return
        self._lost.discard(state.name)
        if state.stage in TROUBLED:
            self._lost.add(state.name)
            log.warning("%s: %s: %s", state.name, state.stage, state.detail)
        elif state.stage is SourceStatus.WATCHING and state.live:
            size = f" ({state.size_wh[0]}x{state.size_wh[1]})" if state.size_wh else ""
            log.info("%s: %s%s", state.name, "connected" if state.connections < 2 else "reconnected", size)
        elif state.stage is SourceStatus.CONNECTING and state.detail:
            log.info("%s: %s", state.name, state.detail)
        elif state.problems:
            log.warning("%s: %s", state.name, "; ".join(state.problems))

    def on_change(self, change: EventChange) -> None:
        event = change.event
        if change.kind == "grew":
            return
        until = "" if event.end_s is None else f" to {clock(event.end_s)} ({event.closed_because})"
        text = f": {event.text[:120]}" if event.text else ""
        late = ", reported late" * change.late
        what = f"event {change.kind}{late}, {event.tier} {event.peak:.2f}, {clock(event.onset_s)}{until}{text}"
        log.info("%s: %s", event.source, what)

    def _report_for_ever(self) -> None:
        # In a thread rather than with the verdicts: if none arrive, the table says why.
        while not self._over.wait(REPORT_EVERY_S):
            if self._watch is not None:
                self._console.print(self._render())

    def _render(self) -> RenderableType:
        watch = self._watch
        if watch is None:
            return Text("connecting to the endpoint ...")
        states = list(watch.states.values())
        shown = sorted(states, key=_rank)[:LINES]
        table = _table()
        for state in shown:
            table.add_row(*_row(state))
        return Group(table, _footer(watch, states, hidden=len(states) - len(shown)))


def clock(seconds: float) -> str:
    """Seconds of a source as h:mm:ss.s."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _rank(state: SourceState) -> tuple[bool, bool, bool, str]:
    return not state.open_event, state.stage not in TROUBLED, state.stage in RESTING, state.name


def _table() -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("source", overflow="ellipsis", no_wrap=True, max_width=36)
    table.add_column("state", no_wrap=True)
    for name in ("at", "fps", "lag s", "p", "judged", "alarms", "events", "dropped", "skipped", "unknown", "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _row(state: SourceState) -> tuple[RenderableType, ...]:
    style = TIER_STYLES[Tier(state.open_event)] if state.open_event else STAGE_STYLES.get(state.stage, "")
    stage = f"EVENT {state.open_event}" if state.open_event else str(state.stage)
    return (
        Text(f"{state.place} · {state.name}" if state.place else state.name),
        Text(stage, style=style),
        clock(state.position_s),
        f"{state.fps:.1f}",
        f"{state.lag_s:.1f}" if state.is_current and state.lag_s is not None else "",
        f"{state.p_alarm:.2f}" if state.is_current and state.p_alarm is not None else "",
        str(state.judged),
        str(state.alarms),
        str(state.events),
        str(state.dropped),
        str(state.skipped),
        _causes(state),
        str(state.tokens),
    )


def _causes(state: SourceState) -> str:
    beside = {Cause.DROPPED, Cause.SKIPPED}
    # The event loop adds to it while a thread draws; copying it is atomic.
    counts = tuple(state.unknown.items())
    return ", ".join(f"{count} {cause}" for cause, count in counts if cause not in beside) or "0"


def _footer(watch: Watcher, states: list[SourceState], *, hidden: int) -> Text:
    breaker = watch.breaker
    parts = [f"endpoint {watch.judge.model}: {'answers' if breaker.state == 'closed' else breaker.state}"]
    if watch.judge.calibration is None:
        parts.append("probabilities: not calibrated")
    if breaker.reason:
        parts.append(breaker.reason[:100])
    if watch.writer is not None and watch.writer.error:
        parts.append(f"STORE: {watch.writer.error[:80]}; {counted(watch.writer.waiting, 'event')} waiting")
    done = sum(state.stage is SourceStatus.ENDED for state in states)
    parts.append(f"{counted(len(states), 'source')}, {done} ended" + (f", {hidden} not shown" if hidden else ""))
    parts.append(counted(sum(state.events for state in states), "event"))
    return Text(" | ".join(parts), style="dim" if breaker.state == "closed" else "red")


def summary_table(summary: WatchSummary) -> Table:
    """How a watch ended: one line per source, the totals last."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("source", overflow="fold")
    for name in ("windows", "judged", "alarms", "events", "dropped", "skipped", "unknown"):
        table.add_column(name, justify="right", no_wrap=True)
    for state in summary.sources:
        counts = (state.cut, state.judged, state.alarms, state.events, state.dropped, state.skipped)
        table.add_row(state.name, *map(str, counts), _causes(state))
    if len(summary.sources) > 1:
        names = ("cut", "judged", "alarms", "events", "dropped", "skipped", "failed")
        sums = (sum(getattr(state, name) for state in summary.sources) for name in names)
        table.add_row("all", *map(str, sums), style="bold")
    return table
