"""Review: what events can be filtered by, marks of many at once, why an event alarmed, and who was told of it."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import text

from vigil.errors import VigilError
from vigil.events import Event
from vigil.manifest import Calibration, calibration_in
from vigil.rules import HysteresisSettings, ObservationSettings, RuleSettings, SequenceSettings
from vigil.store import Store
from vigil.store.deliveries import Delivery, DeliveryAttempt
from vigil.store.missed_spans import MissedFilter
from vigil.verdict import JudgedWindow, Outcome

from .auth import EventOperator, EventReader, write_down
from .camera_rules import RulesInForce, rules_at
from .clip_state import clip_state
from .context import ApiContext
from .events import EventFilters, EventPath, added_marks, classes_of, event_records, find_event, require_class
from .media import files_of
from .review_schemas import (
    AttemptOut,
    CalibrationOut,
    CameraChoice,
    DeliveryList,
    DeliveryOut,
    EventChoices,
    EventCount,
    MarkedEvent,
    MarkedEvents,
    NewMarks,
    RuleOut,
    WhyOut,
    WhyWindow,
)
from .rule_schemas import TermOut
from .schemas import TierName, kept_problems, problems

MARGIN_S = 20.0
"""Seconds before and after an event whose windows are told with it, if nothing else is asked for."""

RULES_OF_EVENTS = text("""WITH RECURSIVE found (rule) AS (
    SELECT min(rule) FROM events UNION ALL
    SELECT (SELECT min(rule) FROM events WHERE rule > found.rule) FROM found WHERE found.rule IS NOT NULL)
    SELECT rule FROM found WHERE rule IS NOT NULL AND rule <> ''""")
"""The rules that occur among events, each by one step in an index."""


def review_router(context: ApiContext) -> APIRouter:
    """The routes of the review; before those of single events, whose paths would take theirs for ids."""
    router = APIRouter(tags=["review"])
    _add_lists(router, context)
    _add_reasons(router, context)
    return router


def _add_lists(router: APIRouter, context: ApiContext) -> None:
    @router.get("/events/choices", response_model=EventChoices, responses=kept_problems(503))
    def choices(caller: EventReader) -> EventChoices:
        """What events can be filtered by: cameras, places, rules and classes."""
        store = context.store
        among = set(store.events.sources())
        found = [camera for camera in store.cameras.all() if camera.name in among]
        cameras = [CameraChoice(id=each.id, name=each.name, place=each.place) for each in found]
        strangers = sorted(among - {each.name for each in found})
        cameras += [CameraChoice(id=name, name=name, place="") for name in strangers]
        places = sorted({camera.place for camera in cameras if camera.place})
        return EventChoices(cameras=cameras, places=places, rules=_rules(store), labels=store.events.labels())

    @router.get("/events/count", response_model=EventCount, responses=kept_problems(400, 503))
    def count(caller: EventReader, filters: Annotated[EventFilters, Depends()]) -> EventCount:
        """How many events match, and how many missed incidents there are in the same time, camera and place."""
        store, wanted = context.store, filters.wanted()
        missed = MissedFilter(
            since_utc=wanted.since_utc, until_utc=wanted.until_utc, source=filters.camera, place=filters.place
        )
        return EventCount(events=store.events.count(wanted), missed=store.missed_spans.count(missed))

    @router.post("/events/marks", status_code=201, response_model=MarkedEvents, responses=problems(400, 503))
    def mark_many(caller: EventOperator, said: NewMarks) -> MarkedEvents:
        """Marks up to 500 events at once: all those that exist, in one transaction."""
        wanted = list(dict.fromkeys(said.events))
        for found in context.store.events.by_ids(wanted) if said.label else ():
            require_class(found, said.label)
        made = context.store.marks.add_to_all(wanted, said.mark, who=caller.name, note=said.note, label=said.label)
        for mark in made:
            write_down("mark an event", caller, event=mark.event_id, mark=said.mark or "none", among=str(len(made)))
        added = zip(made, added_marks(context.store, made), strict=True)
        marked = [MarkedEvent(event=each.event_id, **dict(mark)) for each, mark in added]
        known = {each.event for each in marked}
        return MarkedEvents(marked=marked, missing=[event_id for event_id in wanted if event_id not in known])


def _rules(store: Store) -> list[str]:
    with store.database.reading("reading rules") as connection:
        return sorted(connection.execute(RULES_OF_EVENTS).scalars())


def _add_reasons(router: APIRouter, context: ApiContext) -> None:
    @router.get("/events/{event}/why", response_model=WhyOut, responses=problems(404, 503))
    def why(
        caller: EventReader, event: EventPath, margin_s: Annotated[float, Query(ge=0, le=600)] = MARGIN_S
    ) -> WhyOut:
        """Why an event alarmed: the windows around it, which of them opened it, the rule, thresholds and calibration.

        Also what people did about it, and where its clip begins.
        """
        store = context.store
        found = find_event(store, event)
        record = event_records(context, store, [found])[0]
        in_force = rules_at(context, found.camera_id)
        rule, tiers = _rule_of(in_force, found), in_force.tiers(found.rule or found.task)
        judged = store.verdicts.around(found, margin_s=margin_s)
        return WhyOut(
            event=found.id,
            model=found.model,
            task=found.task,
            classes=classes_of(found.task) or [],
            rule=rule,
            tiers=tiers,
            calibration=_calibration(context, in_force, found),
            onset_s=found.onset_s,
            end_s=found.end_s,
            announced_s=found.announced_s,
            epoch_s=found.epoch_s,
            are_kept=bool(judged),
            windows=_windows(context, found, () if _is_of_another_question(in_force, found) else judged, rule, tiers),
            clip=clip_state(context, found),
            acknowledged_by=record["acknowledged_by"],
            acknowledged_utc=record["acknowledged_utc"],
            marks=record["marks"],
        )

    @router.get("/events/{event}/deliveries", response_model=DeliveryList, responses=kept_problems(404, 503))
    def deliveries(caller: EventReader, event: EventPath) -> DeliveryList:
        """Who was told of an event: each message to each sink of alerts, its state, and every attempt to send it."""
        store = context.store
        found = find_event(store, event)
        sent = [_delivery(each, attempts) for each, attempts in store.deliveries.of_event(found.id)]
        sinks = [sink.name for sink in context.site.settings.alerts.sinks]
        return DeliveryList(event=found.id, sinks=sinks, deliveries=sent)


def _rule_of(in_force: RulesInForce, event: Event) -> RuleOut | None:
    named = _settings_of(in_force, event)
    return None if named is None else _told(named, name=event.rule or event.task)


def _settings_of(in_force: RulesInForce, event: Event) -> RuleSettings | None:
    name = event.rule or event.task
    return next((rule for rule in in_force.rules if (rule.name or event.task) == name), None)


def _is_of_another_question(in_force: RulesInForce, event: Event) -> bool:
    """Whether the verdicts in the log, which answer the watch's own question, say nothing of this event."""
    rule = _settings_of(in_force, event)
    return isinstance(rule, HysteresisSettings) and bool(rule.question)


def _told(rule: RuleSettings, *, name: str) -> RuleOut:
    if isinstance(rule, HysteresisSettings):
        return RuleOut(
            name=name,
            type="hysteresis",
            opens_from=rule.tiers.low,
            keep_from=rule.keep_from,
            k=rule.k,
            n=rule.n,
            quiet_s=rule.quiet_s,
        )
    if isinstance(rule, ObservationSettings):
        return RuleOut(name=name, type="observation", opens_from=rule.tiers.low, label=rule.shown, times=rule.times)
    terms = rule.terms
    return RuleOut(
        name=name,
        type=rule.type,
        opens_from=min(term.p_from if term.holds else 1.0 - term.p_from for term in terms),
        label=terms[-1].label,
        terms=[TermOut.model_validate(term) for term in terms],
        for_s=getattr(rule, "for_s", None),
        within_s=getattr(rule, "within_s", None),
        times=getattr(rule, "times", None),
        schedule=getattr(rule, "schedule", None),
        fault=getattr(rule, "fault", None),
        quiet_s=rule.quiet_s if isinstance(rule, SequenceSettings) else rule.gap_s,
    )


def _calibration(context: ApiContext, in_force: RulesInForce, event: Event) -> CalibrationOut | None:
    """That of the question which the event answers: the model's own, or of a camera's question the one on its marks."""
    found: Calibration | None
    if any(task.question.name == event.task for task in in_force.tasks):
        known = None if in_force.calibrations is None else in_force.calibrations.of(event.task)
        found = None if known is None else known.calibration
    else:
        try:
            found = calibration_in(context.site.settings.model_dir)
        except VigilError:
            return None
    if found is None:
        return None
    return CalibrationOut(temperature=found.temperature, bias=found.bias, clips=found.clips)


def _windows(
    context: ApiContext,
    event: Event,
    judged: Sequence[JudgedWindow],
    rule: RuleOut | None,
    tiers: Mapping[TierName, float],
) -> list[WhyWindow]:
    """The windows around an event; those of the event alone, if the log has none any more."""
    kept = _kept_frames(context, event)
    voted = _voters(event, rule)
    own = {window.window for window in event.windows}
    first_s = min((window.start_s for window in event.windows), default=event.onset_s)
    told = [
        WhyWindow(
            window=each.window,
            start_s=each.start_s,
            end_s=each.end_s,
            outcome=each.verdict.outcome,
            cause=each.verdict.cause,
            p_alarm=each.verdict.p_alarm,
            tier=_tier(each.verdict.p_alarm, tiers),
            text=each.verdict.text,
            latency_ms=each.verdict.latency_ms,
            part="within" if each.window in own else "before" if each.start_s < first_s else "after",
            voted=each.window in voted,
            frames=kept.get(each.window, 0),
        )
        for each in judged
    ]
    return told or [
        WhyWindow(
            window=each.window,
            start_s=each.start_s,
            end_s=each.end_s,
            outcome=_outcome(each.p_alarm),
            cause=None,
            p_alarm=each.p_alarm,
            tier=_tier(each.p_alarm, tiers),
            text=None,
            latency_ms=0.0,
            part="within",
            voted=each.window in voted,
            frames=kept.get(each.window, 0),
        )
        for each in event.windows
    ]


def _outcome(p_alarm: float | None) -> Outcome:
    if p_alarm is None:
        return Outcome.UNKNOWN
    return Outcome.ALARM if p_alarm >= 0.5 else Outcome.NORMAL


def _kept_frames(context: ApiContext, event: Event) -> dict[int, int]:
    """How many judged frames were kept of each window."""
    folders = [file.path for file in files_of(context, event.id, "frames")]
    return {int(folder.name): sum(1 for _ in folder.glob("*.jpg")) for folder in folders}


def _voters(event: Event, rule: RuleOut | None) -> set[int]:
    """The windows that opened an event: the first `k` above the threshold, or those in which the label held so long."""
    if rule is None:
        return set()
    above = [each for each in event.windows if each.p_alarm is not None and each.p_alarm >= rule.opens_from]
    if rule.k is not None:
        return {each.window for each in above[: rule.k]}
    until_s = event.onset_s + (rule.for_s or 0.0)
    return {each.window for each in above if each.start_s < until_s}


def _tier(p_alarm: float | None, tiers: Mapping[TierName, float]) -> TierName | None:
    reached: list[TierName] = [name for name, least in tiers.items() if p_alarm is not None and p_alarm >= least]
    return reached[-1] if reached else None


def _delivery(found: Delivery, attempts: Sequence[DeliveryAttempt]) -> DeliveryOut:
    tried = [
        AttemptOut.model_validate({name: getattr(each, name) for name in DeliveryAttempt.__slots__})
        for each in attempts
    ]
    return DeliveryOut(
        number=found.id,
        sink=found.sink,
        kind=found.kind,
        revision=found.revision,
        state=found.state,
        detail=found.detail,
        created_utc=found.created_utc,
        done_utc=found.done_utc,
        attempts=tried,
    )
