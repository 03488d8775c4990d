"""The forms of the review: why an event alarmed, who was told, marks of many events, missed incidents, strips."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field

from vigil.verdict import Cause, Outcome

from .form import Form
from .rule_schemas import TermOut
from .schemas import EXAMPLE_EVENT, LONGEST_LABEL, LONGEST_NOTE, AddedMark, MarkName, MarkOut, TierName

MOST_MARKED = 500

EventIdText = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
TimeText = Annotated[str, Field(min_length=1, max_length=40)]

ClipState: TypeAlias = Literal["whole", "copy", "coming", "failed", "open", "expected", "off", "deleted", "missing"]
"""Plays as it is; a copy plays; a copy is being made; no copy can be made; the event goes on; it is being written;
clips are switched off; it was deleted; there is none."""


class CameraChoice(BaseModel):
    """A camera that has events."""

    id: str
    name: str
    place: str


class EventChoices(BaseModel):
    """What events can be filtered by: the cameras that have some, their places, the rules that made them, classes."""

    cameras: list[CameraChoice]
    places: list[str]
    rules: list[str]
    labels: list[str]


class EventCount(BaseModel):
    """How many events match, and how many missed incidents lie in the same time, camera and place."""

    events: int
    missed: int


class NewMarks(Form):
    """The same mark for many events; the empty mark takes the valid ones back."""

    events: list[EventIdText] = Field(min_length=1, max_length=MOST_MARKED, examples=[[EXAMPLE_EVENT]])
    mark: MarkName = Field(examples=["false_alarm"])
    note: str = Field("", max_length=LONGEST_NOTE, examples=["rain"])
    label: str = Field("", max_length=LONGEST_LABEL, examples=[""])


class MarkedEvent(AddedMark):
    """A mark that was added to one event."""

    event: str


class MarkedEvents(BaseModel):
    """The marks that were added, all in one transaction; `missing` are ids of no event."""

    marked: list[MarkedEvent]
    missing: list[str]


class RuleOut(BaseModel):
    """A rule as this service has it now; the fields of other kinds of rules are null.

    `opens_from` is the probability that counts, `keep_from` the one that continues an event. An incident opens when `k`
    of the last `n` windows reach it; what lasts opens after `for_s` seconds; of `terms`, all must hold, or with a
    sequence the second within `within_s` after the first; a count opens with so many `times` within `within_s`; a
    camera rule is about the camera itself, whose `fault` the pixels show.
    """

    name: str
    type: Literal["hysteresis", "duration", "sequence", "count", "observation", "camera"]
    opens_from: float
    keep_from: float | None = None
    k: int | None = None
    n: int | None = None
    quiet_s: float | None = None
    label: str | None = None
    terms: list[TermOut] | None = None
    for_s: float | None = None
    within_s: float | None = None
    times: int | None = None
    schedule: str | None = None
    fault: str | None = None


class CalibrationOut(BaseModel):
    """The calibration of the model's probabilities: sigmoid(logit / temperature + bias), from `clips` clips."""

    temperature: float
    bias: float
    clips: int


class WhyWindow(BaseModel):
    """One judged window around an event: `voted` if it is one of those that opened it, `frames` how many were kept."""

    window: int
    start_s: float
    end_s: float
    outcome: Outcome
    cause: Cause | None
    p_alarm: float | None
    tier: TierName | None
    text: str | None
    latency_ms: float
    part: Literal["before", "within", "after"]
    voted: bool
    frames: int


class ClipOut(BaseModel):
    """What there is of the clip of an event, and at which second of the source it begins.

    `is_exact` is false if that is estimated from the settings, as with clips of earlier versions.
    """

    state: ClipState
    codec: str = ""
    why: str = ""
    begins_s: float | None = None
    is_exact: bool = False


class WhyOut(BaseModel):
    """Why an event alarmed: its windows and those around it, the rule, the thresholds, and what people did.

    `rule` is null if this service has no rule of that name any more; `calibration` is that of the model as it is now.
    `classes` are those that the task's events can have, empty with two labels. `are_kept` is false if the verdicts are
    not in the log any more: then the windows are those of the event alone.
    """

    event: str
    model: str
    task: str
    classes: list[str]
    rule: RuleOut | None
    tiers: dict[TierName, float]
    calibration: CalibrationOut | None
    onset_s: float
    end_s: float | None
    announced_s: float | None
    epoch_s: float | None
    are_kept: bool
    windows: list[WhyWindow]
    clip: ClipOut
    acknowledged_by: str
    acknowledged_utc: str
    marks: list[MarkOut]


class AttemptOut(BaseModel):
    """One attempt to send a message."""

    number: int
    outcome: Literal["delivered", "failed"]
    detail: str
    tried_utc: str


class DeliveryOut(BaseModel):
    """One message about an event to one sink: `waiting`, `delivered`, `dead` (given up) or `skipped` (see `detail`)."""

    number: int
    sink: str
    kind: str
    revision: int
    state: Literal["waiting", "delivered", "dead", "skipped"]
    detail: str
    created_utc: str
    done_utc: str | None
    attempts: list[AttemptOut]


class DeliveryList(BaseModel):
    """Who was told of an event, oldest first; `sinks` are those of the settings, so that none looks forgotten."""

    event: str
    sinks: list[str]
    deliveries: list[DeliveryOut]


class NewMissed(Form):
    """An incident that raised no event: from when until when, and what happened."""

    since: TimeText = Field(examples=["2025-10-09T08:53:00Z"], description="2026-11-20T11:50:31Z, or an age: 5m.")
    until: TimeText = Field(examples=["2025-10-09T08:53:20Z"], description="An hour later at most, and past.")
    note: str = Field("", max_length=LONGEST_NOTE, examples=["two people push"])


class MissedOut(BaseModel):
    """A missed incident; it counts while `taken_back_utc` is empty."""

    missed: str
    source: str
    camera_id: str
    from_utc: str
    to_utc: str
    note: str
    marked_by: str
    marked_utc: str
    taken_back_by: str
    taken_back_utc: str


class MissedList(BaseModel):
    """Missed incidents, the latest first; `total` of all pages. `next` is the cursor of the next page, or null."""

    missed: list[MissedOut]
    total: int
    next: str | None


class BucketOut(BaseModel):
    """The windows that begin in one stretch of a strip, `at_s` seconds after its beginning."""

    at_s: float
    p_least: float | None
    p_most: float | None
    windows: int
    unknown: int


class StripEvent(BaseModel):
    """An event of a strip."""

    event: str
    onset_utc: str
    end_utc: str | None
    tier: TierName
    peak: float
    mark: MarkName


class CameraStrip(BaseModel):
    """What a camera was judged to be between two times, with its events and missed incidents.

    `has_clock` is false for a file: its verdicts have no time of day, so there is no strip of it.
    """

    camera: str
    name: str
    place: str
    has_clock: bool
    from_utc: str
    to_utc: str
    bucket_s: float
    tiers: dict[TierName, float]
    buckets: list[BucketOut]
    events: list[StripEvent]
    missed: list[MissedOut]


class MomentWindow(BaseModel):
    """One window near a moment."""

    window: int
    start_utc: str
    end_utc: str
    outcome: Outcome
    cause: Cause | None
    p_alarm: float | None
    text: str | None


class MomentPicture(BaseModel):
    """A picture or clip that is still kept of a moment, as one of an event's files."""

    event: str
    kind: Literal["clip", "snapshot", "frames"]
    url: str


class CameraMoment(BaseModel):
    """What is known of a camera at a moment, whether anything alarmed or not.

    `pictures` is empty if none is kept: pictures are kept of events only.
    """

    camera: str
    name: str
    place: str
    at_utc: str
    tiers: dict[TierName, float]
    windows: list[MomentWindow]
    events: list[StripEvent]
    missed: list[MissedOut]
    pictures: list[MomentPicture]
