"""Rules that go on after a restart: their state is built again from the verdicts that are in the store.

    resumption = RulesResumption(store, source="door", task="fight", ...)
    starting = writer.start_session(..., resume=resumption.resume)
    resumed = await resumption.finish(starting)          # None if there is no past

The windows of earlier sessions are pushed into new rules, at negative seconds of the new session, and what changes is
told to nobody. The time between two sessions is unknown, as any time is that nobody saw: it adds to no duration, and
ends what it is too long for. An event that was open when the watch was killed stays the same event, under its id.
"""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vigil.errors import StoreError
from vigil.events import Event, EventChange, EventWindow
from vigil.observation import Observation
from vigil.rules import RuleSet, RuleSettings
from vigil.scene import SCENE
from vigil.store import EventFilter, Store
from vigil.store.observations import ObservationFilter
from vigil.store.sessions import WatchSession
from vigil.store.times import format_utc
from vigil.verdict import Answer, Cause, JudgedWindow

log = logging.getLogger(__name__)

RESUME_TIMEOUT_S = 2.0
"""How long the first verdict of a camera waits for the past: a locked database may take forever."""

LONGEST_PAST_S = 86_400.0
"""An event that is open for longer is not looked at from its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSession:
    """An earlier session on the clock of the present one: its seconds plus `shift_s`, its windows plus `offset`."""

    id: str
    shift_s: float
    offset: int
    windows: tuple[JudgedWindow, ...]


def on_clock_of(epoch_s: float, sessions: Sequence[tuple[WatchSession, Sequence[JudgedWindow]]]) -> list[PastSession]:
    """Earlier sessions, oldest first, on the clock of one whose second 0 is at `epoch_s` (`time.time()`).

    All their windows end before second 0 and have negative numbers. Where clocks say that a session went on after the
    next one had begun (they were set back), it is taken to have ended just then.
    """
    past: list[PastSession] = []
    ends_by_s, offset = 0.0, 0
    for session, windows in reversed(sessions):
        offset -= max(judged.window for judged in windows) + 1
        shift_s = min((session.epoch_s or 0.0) - epoch_s, ends_by_s - max(judged.end_s for judged in windows))
        moved = tuple(_moved(judged, shift_s=shift_s, offset=offset) for judged in windows)
        past.append(PastSession(id=session.id, shift_s=shift_s, offset=offset, windows=moved))
        ends_by_s = moved[0].start_s
    return past[::-1]


def _moved(judged: JudgedWindow, *, shift_s: float, offset: int) -> JudgedWindow:
    seen = judged.verdict
    verdict = replace(seen, start_s=seen.start_s + shift_s, end_s=seen.end_s + shift_s)
    return replace(judged, window=judged.window + offset, verdict=verdict)


def past_needed_s(rules: Sequence[RuleSettings]) -> float:
    """How many seconds of the past the rules go on from, as long as none of them has an open event."""
    return max(rule.memory_s for rule in rules)


def replay(rules: RuleSet, past: Sequence[PastSession]) -> None:
    """Pushes earlier windows into new rules; nobody hears of the changes.

    What the time since then is too long for is closed with the first window of the present session, and told.
    """
    for session in past:
        for judged in session.windows:
            rules.push(judged)
            if SCENE in judged.answers:
                rules.observe(judged)


def with_observations(
    sessions: Sequence[tuple[WatchSession, Sequence[JudgedWindow]]], observations: Sequence[Observation]
) -> list[tuple[WatchSession, Sequence[JudgedWindow]]]:
    """The windows of sessions, those that were observed with the line of the semantic log as an answer."""
    said = {(each.session_id, each.start_s): each for each in observations}
    return [
        (session, [_observed(judged, said.get((session.id, judged.start_s))) for judged in windows])
        for session, windows in sessions
    ]


def _observed(judged: JudgedWindow, observation: Observation | None) -> JudgedWindow:
    if observation is None:
        return judged
    text = observation.text if observation.fields is None else json.dumps(dict(observation.fields))
    answer = Answer(question=SCENE, cause=Cause.WORDS_ONLY, text=text)
    return replace(judged, answers={**judged.answers, SCENE: answer})


@dataclass(slots=True, kw_only=True)
class ResumedRules:
    """Rules that know the past, and how their changes are told.

    `kept` are the events that were open in the store and go on; they keep their ids, and the clock of the session that
    they began in (`began_in`, by event id). An incident that goes on although its event was closed (the watch was
    stopped in order) is told as a new event, of the windows since the restart.
    """

    rules: RuleSet
    past: Sequence[PastSession]
    kept: Sequence[Event] = ()
    began_in: Mapping[str, str] = field(default_factory=dict)
    _continued: dict[str, tuple[Event, PastSession]] = field(default_factory=dict)
    _withheld: set[str] = field(default_factory=set)
    _told_anew: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        kept = {event.rule: event for event in self.kept}
        sessions = {session.id: session for session in self.past}
        for event in self.rules.open_events:
            own = kept.get(event.rule)
            session = None if own is None else sessions.get(self.began_in.get(own.id, ""))
            if own is None or session is None:
                self._withheld.add(event.id)
            else:
                self._continued[event.id] = own, session
        self.kept = [own for own, _ in self._continued.values()]

    def told(self, changes: Sequence[EventChange]) -> list[EventChange]:
        """The changes as the store and observers get them."""
        return [told for change in changes if (told := self._told(change)) is not None]

    def _told(self, change: EventChange) -> EventChange | None:
        event = change.event
        if event.id in self._continued:
            own, session = self._continued[event.id]
            return replace(change, event=_on_clock_of_event(event, own, session))
        if event.id in self._withheld:
            return self._told_as_new(change)
        if event.id in self._told_anew:
            return replace(change, event=_since_restart(event))
        return change

    def _told_as_new(self, change: EventChange) -> EventChange | None:
        """The first change of an incident whose earlier event is closed: nothing, unless it goes on."""
        self._withheld.discard(change.event.id)
        if not any(each.window >= 0 for each in change.event.windows):
            return None
        self._told_anew.add(change.event.id)
        event = _since_restart(change.event)
        return replace(change, kind="opened", event=replace(event, announced_s=event.windows[-1].end_s))


def _on_clock_of_event(event: Event, own: Event, session: PastSession) -> Event:
    """An event of the present session as the stored event that it continues."""
    back_s = -session.shift_s
    windows = tuple(
        replace(each, window=each.window - session.offset, start_s=each.start_s + back_s, end_s=each.end_s + back_s)
        for each in event.windows
    )
    return replace(
        event,
        id=own.id,
        onset_s=event.onset_s + back_s,
        peak_s=event.peak_s + back_s,
        end_s=None if event.end_s is None else event.end_s + back_s,
        announced_s=own.announced_s,
        epoch_s=own.epoch_s,
        windows=windows,
        text=event.text or own.text,
    )


def _since_restart(event: Event) -> Event:
    windows = tuple(each for each in event.windows if each.window >= 0)
    if not windows:
        return event
    peak = max(windows, key=_p)
    return replace(
        event, windows=windows, onset_s=windows[0].start_s, peak=_p(peak), peak_s=(peak.start_s + peak.end_s) / 2
    )


def _p(window: EventWindow) -> float:
    return -1.0 if window.p_alarm is None else window.p_alarm


class RulesResumption:
    """Brings back the state of a source's rules while its session is started.

    `resume` runs in the writer thread and makes rules of its own (`build_rules`); `finish` hands them over in the event
    loop, or gives up on them, so that no two threads ever use the same rules. `epoch_s` is the `time.time()` of second
    0 of the present session.
    """

    def __init__(
        self,
        store: Store,
        *,
        source: str,
        task: str,
        epoch_s: float,
        settings: Sequence[RuleSettings],
        build_rules: Callable[[], RuleSet],
    ) -> None:
        self._store = store
        self._source = source
        self._task = task
        self._epoch_s = epoch_s
        self._settings = settings
        self._build_rules = build_rules
        self._lock = threading.Lock()
        self._is_over = False
        self._resumed: ResumedRules | None = None

    def resume(self, camera_id: str) -> Collection[str]:
        """Builds the rules from the store; returns the ids of the open events that go on with them."""
        # It is called again if what is written after it fails.
        built = self._resumed or self._built(camera_id)
        with self._lock:
            if not self._is_over:
                self._resumed = built
            return [] if self._resumed is None else [event.id for event in self._resumed.kept]

    async def finish(self, starting: "asyncio.Task[bool]") -> ResumedRules | None:
        """Waits for the rules, for `RESUME_TIMEOUT_S` at most; None if there is no past, or the store does not tell."""
        done, _ = await asyncio.wait([starting], timeout=RESUME_TIMEOUT_S)
        with self._lock:
            self._is_over = True
        if not done:
            log.warning("%s: its rules begin anew, as the store takes too long to tell the past", self._source)
        return self._resumed

    def _built(self, camera_id: str) -> ResumedRules | None:
        try:
            return self._read(camera_id)
        except StoreError:
            raise
        except Exception:
            # A watch without the past is better than no watch.
            log.exception("%s: its rules begin anew; this is a fault in Vigil, please report it", self._source)
            return None

    def _read(self, camera_id: str) -> ResumedRules | None:
        opened = self._store.events.find(EventFilter(camera_id=camera_id, open_only=True))
        now_s = time.time()
        begins_s = [event.epoch_s + event.onset_s for event in opened if event.epoch_s is not None]
        from_s = max(min([now_s - past_needed_s(self._settings), *begins_s]), now_s - LONGEST_PAST_S)
        sessions = self._store.verdicts.of_live_sessions(camera_id, task=self._task, from_utc_s=from_s)
        if not sessions:
            return None
        observed = ObservationFilter(source=camera_id, since_utc=format_utc(max(0.0, from_s)))
        past = on_clock_of(self._epoch_s, with_observations(sessions, self._store.observations.find(observed)))
        rules = self._build_rules()
        replay(rules, past)
        began_in = {event.id: session.id for event in opened if (session := self._store.sessions.of_event(event.id))}
        return ResumedRules(rules=rules, past=past, kept=opened, began_in=began_in)
