"""Writes the timeline of a film into a store, as observations: they are found, listed and kept as those of cameras."""

import hashlib
from collections.abc import Iterator

from vigil.actions.action_timeline import ActionTimeline, TimedAction
from vigil.answer_schema import storable_text
from vigil.observation import Observation
from vigil.sources.address import find_sources
from vigil.sources.source_identity import identity_of
from vigil.store import CameraRecord, Store
from vigil.store.times import utc_now

TIMELINE = "timeline"
"""The name of the question."""


def store_actions(timeline: ActionTimeline, film: str, store: Store) -> int:
    """Writes one observation per action, and per answer that was kept as words; returns how many are new.

    A timeline that is written again, with the same actions of the same model, changes nothing. Raises StoreError.
    """
    (address,) = find_sources([film])
    identity = identity_of(address)
    camera = CameraRecord(
        id=store.cameras.id_of(identity, address.name),
        name=address.name,
        identity=identity,
        kind=address.kind,
        address=address.location,
    )
    session = store.sessions.start(source=address.name, model=timeline.model, task=TIMELINE, camera=camera)
    rows = list(_rows(timeline, identity, camera_id=session.camera_id, session_id=session.id, source=address.name))
    added = store.observations.add(rows)
    store.sessions.end(address.name, because="the timeline is complete", session=session.id, camera_id=camera.id)
    return added


def _rows(
    timeline: ActionTimeline, identity: str, *, camera_id: str, session_id: str, source: str
) -> Iterator[Observation]:
    now_utc = utc_now()
    said = [(each.start_s, each.end_s, each.line, _fields(each)) for each in timeline.actions]
    said += [(each.start_s, each.end_s, each.words, None) for each in timeline.words]
    for start_s, end_s, text, fields in sorted(said, key=lambda each: each[:2]):
        yield Observation(
            id=_id(identity, timeline, f"{start_s:.2f} {text}"),
            camera_id=camera_id,
            source=source,
            session_id=session_id,
            start_s=start_s,
            end_s=end_s,
            happened_utc=now_utc,
            text=storable_text(text),
            fields=fields,
            question=TIMELINE,
            model=timeline.model,
        )


def _fields(action: TimedAction) -> dict[str, object] | None:
    return {"time": action.start_s, "actor": action.actor, "action": action.action, "intent": action.intent}


def _id(identity: str, timeline: ActionTimeline, what: str) -> str:
    """The same for the same action of the same film, question and model."""
    whole = "\n".join((identity, timeline.model, timeline.question, what))
    return f"timeline-{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
