"""The forms of requests and answers of the service, from which its OpenAPI description is made."""

from typing import Annotated, Any, Literal, TypeAlias

import orjson
from fastapi import Response
from pydantic import BaseModel, Field

from vigil.store.event_record import EventState
from vigil.verdict import Cause, Outcome

from .form import Form

EXAMPLE_EVENT = "20261120T115033123Z-9f3c21ab"
EXAMPLE_CAMERA = "door"
LONGEST_NOTE = 4000
LONGEST_LABEL = 200

MarkName: TypeAlias = Literal["true", "false_alarm", "unsure", ""]
TierName: TypeAlias = Literal["low", "medium", "high"]


def as_answer(model: BaseModel) -> Response:
    """A model as an answer, made into JSON where it is; FastAPI would check it again, in another thread."""
    return Response(model.model_dump_json(), media_type="application/json")


def as_json(record: object) -> Response:
    """Plain values as an answer; for records that the store gives in the form that the description names."""
    return Response(orjson.dumps(record), media_type="application/json")


class FieldProblem(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457): `detail` says what happened, to what, and what to do next."""

    type: str = Field(examples=["urn:vigil:problem:not-found"])
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None


class MarkOut(BaseModel):
    """One mark of an event; the empty mark takes the one before it back. `label` is the corrected class, if any."""

    mark: MarkName
    note: str
    who: str
    marked_utc: str
    label: str = ""


class AddedMark(MarkOut):
    """A mark that was added; `replaced` is the one that was valid until then, null if there had never been one."""

    replaced: MarkOut | None


class WindowOut(BaseModel):
    """One window of an event; `p_alarm` is null if its verdict is unknown."""

    window: int
    start_s: float
    end_s: float
    p_alarm: float | None
    label: str = ""


class EventOut(BaseModel):
    """One event. Times in `_s` are seconds of the source; `mark` is the valid mark, empty if there is none.

    `label` is its class and `marked_label` a user's correction; both are left out where a task has two labels only.
    """

    event: str
    source: str
    camera_id: str
    place: str
    onset_s: float
    end_s: float | None
    peak: float
    tier: TierName
    announced_s: float | None
    peak_s: float | None
    epoch_s: float | None
    onset_utc: str | None
    end_utc: str | None
    closed_because: str
    task: str
    model: str
    rule: str
    label: str = ""
    text: str
    mark: MarkName
    marked_label: str = ""
    note: str
    marked_by: str
    marked_utc: str
    acknowledged_by: str
    acknowledged_utc: str
    state: EventState
    marks: list[MarkOut]
    windows: list[WindowOut]
    media: list[str]


class EventList(BaseModel):
    """Events, the latest first. `next` is the cursor of the next page, null on the last one."""

    events: list[EventOut]
    next: str | None


class ObservationOut(BaseModel):
    """A line of the semantic log. `fields` is null unless the model was held to a form, and its answer had it."""

    observation: str
    camera_id: str
    source: str
    place: str
    start_s: float
    end_s: float
    happened_utc: str
    text: str
    fields: dict[str, Any] | None
    question: str
    model: str
    tokens: int


class ObservationList(BaseModel):
    """Observations, the latest first. `next` is the cursor of the next page, null on the last one."""

    observations: list[ObservationOut]
    next: str | None


class NewMark(Form):
    """A mark to be added; the empty mark takes the valid one back."""

    mark: MarkName = Field(examples=["false_alarm"])
    note: str = Field("", max_length=LONGEST_NOTE, examples=["two boys play"])
    label: str = Field("", max_length=LONGEST_LABEL, examples=[""])


class VerdictOut(BaseModel):
    """The verdict on one window: `p_alarm` is null unless the outcome is known with a probability.

    `label` is the most probable of the classes that are alarms, empty where the question has no classes.
    """

    window: int
    start_s: float
    end_s: float
    outcome: Outcome
    cause: Cause | None
    p_alarm: float | None
    label: str
    p_outside: float | None
    latency_ms: float
    text: str | None
    detail: str


class VerdictList(BaseModel):
    """The verdicts around an event, oldest first."""

    event: str
    verdicts: list[VerdictOut]


class CurvePoint(BaseModel):
    """The probability of alarm of one window, or the cause for having none."""

    start_s: float
    end_s: float
    p_alarm: float | None
    cause: Cause | None


class Curve(BaseModel):
    """The probability of alarm around an event, and what it is measured against."""

    event: str
    onset_s: float
    end_s: float | None
    tiers: dict[TierName, float]
    points: list[CurvePoint]


class FrameOut(BaseModel):
    """One judged frame that was kept: the window that it belongs to, and where it is."""

    window: int
    number: int
    start_s: float | None
    p_alarm: float | None
    url: str


class FrameList(BaseModel):
    """The judged frames that were kept of an event."""

    event: str
    frames: list[FrameOut]


class LabelOut(BaseModel):
    """One possible answer to a question."""

    name: str
    word: str
    is_alarm: bool


class QuestionOut(BaseModel):
    """A question that can be asked; one without labels is answered by a text."""

    name: str
    title: str
    language: str
    text: str
    labels: list[LabelOut]


class QuestionList(BaseModel):
    """The questions that this service knows."""

    questions: list[QuestionOut]


class JudgedOut(BaseModel):
    """The answer about one window: its verdict, a probability for each label, and the words if they were asked for."""

    start_s: float
    end_s: float
    outcome: Outcome
    cause: Cause | None
    label: str | None
    p_alarm: float | None
    probabilities: dict[str, float]
    text: str | None
    detail: str
    latency_ms: float


class Judgement(BaseModel):
    """The answer about what was sent: `verdict` is that of the most alarming window."""

    model: str
    question: str
    kind: Literal["clip", "frames", "picture"]
    is_complete: bool
    verdict: JudgedOut
    windows: list[JudgedOut]


class SessionOut(BaseModel):
    """Who you are; a page sends `csrf_token` in the header X-CSRF-Token with every change."""

    name: str
    role: Literal["viewer", "operator", "admin"]
    kind: Literal["local", "session", "password", "key"]
    scopes: list[str]
    csrf_token: str


class HealthOut(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class ReadyOut(BaseModel):
    """Whether the service can do its work: it watches, the endpoint answers, and the store can be read."""

    status: Literal["ready"] = "ready"
    checks: dict[str, Literal["ok", "failing"]]


class VersionOut(BaseModel):
    """The versions of Vigil and of this interface."""

    vigil: str
    api: Literal["v1"] = "v1"


class StatusOut(BaseModel):
    """What the whole watch does: `problem` says why cameras are not judged, empty if they are.

    `differences` are those between the contract that is served and the one that is watched with; null if the server
    declares none.
    """

    problem: str
    is_watching: bool
    is_endpoint_up: bool
    is_calibrated: bool
    endpoint: str
    models: list[str]
    model: str
    breaker: str
    differences: list[str] | None
    load: list[int] | None
    warnings: list[str]
    cameras: int
    open_alarms: int | None
    to_review: int | None
    live_clients: int


class AuditOut(BaseModel):
    """One act of a user or a key."""

    number: int
    at_utc: str
    who: str
    address: str
    act: str
    details: dict[str, str]


class AuditList(BaseModel):
    """Acts, the latest first; `next` is the number before which the next page begins, null on the last one."""

    entries: list[AuditOut]
    next: int | None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented errors of a route: those named, and those that every route has."""
    schema = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    told = {
        400: "The request contradicts itself or the service",
        401: "No valid key, session or password",
        403: "Not with this role, these scopes, or from another site",
        404: "There is no such thing",
        405: "Not with this method",
        409: "Not in its present state",
        413: "More was sent than is taken",
        415: "Of no kind that is taken",
        416: "The range lies outside of the file",
        421: "Without users, only this machine is served",
        422: "A field or a file is wrong",
        429: "Too many requests; see Retry-After",
        500: "A fault in Vigil",
        502: "The endpoint refuses",
        503: "A part that is needed does not answer; see Retry-After",
    }
    wanted = sorted({401, 403, 405, 421, 422, 429, 500, *statuses})
    return {status: {"description": told[status], "content": schema} for status in wanted}


def kept_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same for a route whose answers are kept (`app.api.kept_answers`), which may be what the client has."""
    unchanged = {"description": "Nothing has changed since the answer with the ETag of If-None-Match"}
    return {304: unchanged, **problems(*statuses)}


EventId = Annotated[str, Field(examples=[EXAMPLE_EVENT])]
