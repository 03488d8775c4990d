"""The forms of requests about cameras, and of their answers."""

from typing import Literal

from pydantic import BaseModel, Field

from vigil.masks import MOST_MASKS, MOST_POINTS
from vigil.verdict import Cause

from .form import Form
from .rule_schemas import CameraRulesForm, TaskOut, ThresholdsForm
from .schemas import TierName

LONGEST_ADDRESS = 500
LONGEST_NAME = 80


class MaskOut(Form):
    """A polygon that is painted over: `privacy` black in everything, `ignore` grey for the model and the gate.

    Points are shares of the upright picture's width and height, from its upper left corner.
    """

    kind: Literal["privacy", "ignore"]
    points: list[tuple[float, float]] = Field(
        min_length=3, max_length=MOST_POINTS, examples=[[[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]]]
    )


class CameraOut(BaseModel):
    """One camera and what it does now; figures that are no longer true (`is_current`) are null.

    `unknown` counts windows without a verdict by cause; `dropped` are those that gave way to newer ones. `rules`
    (empty: all), `thresholds`, `schedule` and `tasks` are its own; outside of the schedule (`is_scheduled`) nothing
    opens. With `has_usual_view` a rule compares what it shows with its usual view. `tiers` are those of the first rule
    that holds. `observation` is the last line of the semantic log, of the window that ended at second `observed_s`;
    `observations_skipped` counts those that were due and left out.
    """

    id: str
    name: str
    place: str
    masks: list[MaskOut]
    rules: list[str]
    thresholds: list[ThresholdsForm]
    schedule: str
    timezone: str
    tasks: list[TaskOut]
    is_scheduled: bool
    tiers: dict[TierName, float]
    kind: str
    address: str
    status: str
    detail: str
    is_live: bool
    is_current: bool
    is_paused: bool
    has_usual_view: bool
    width_px: int | None
    height_px: int | None
    fps: float
    p_alarm: float | None
    lag_s: float | None
    latency_ms: float
    frames: int
    windows: int
    judged: int
    alarms: int
    dropped: int
    unknown: dict[str, int]
    events: int
    open_event: str
    observation: str
    observed_s: float | None
    observations: int
    observations_skipped: int
    observations_as_words: int
    connections: int
    problems: list[str]


class CameraListOut(BaseModel):
    """The cameras that are watched; `spare` are the names of configured ones that are not, `warnings` what is wrong."""

    cameras: list[CameraOut]
    spare: list[str]
    warnings: list[str]


class NewCamera(CameraRulesForm):
    """A camera to be watched: an address, the number of a webcam, or the name of a configured camera.

    Without rules of its own it has all of the watch, at all times.
    """

    address: str = Field(min_length=1, max_length=LONGEST_ADDRESS, examples=["rtsp://user:password@10.0.0.7:554/door"])
    name: str = Field("", max_length=LONGEST_NAME, examples=["yard"])
    place: str = Field("", max_length=LONGEST_NAME, examples=["north gate"])


class CameraChange(CameraRulesForm):
    """What is to change of a camera; what is left out stays."""

    name: str | None = Field(None, min_length=1, max_length=LONGEST_NAME)
    place: str | None = Field(None, max_length=LONGEST_NAME, examples=["north gate"])
    masks: list[MaskOut] | None = Field(
        None, max_length=MOST_MASKS, description="Replaces all masks of the camera; an empty list removes them."
    )


class CameraAddress(Form):
    """An address to be tried."""

    address: str = Field(min_length=1, max_length=LONGEST_ADDRESS, examples=["rtsp://user:password@10.0.0.7:554/door"])


class CameraTest(BaseModel):
    """What was found at an address; `picture` is a JPEG as a data URL."""

    name: str
    width_px: int
    height_px: int
    codec: str
    fps: float
    picture: str


class HistoryOut(BaseModel):
    """One judged window of a camera, whether anything alarmed or not."""

    end_s: float
    p_alarm: float | None
    cause: Cause | None


class CameraVerdicts(BaseModel):
    """The latest windows of a camera, oldest first, and the tiers that their probabilities are measured against."""

    camera: str
    tiers: dict[TierName, float]
    verdicts: list[HistoryOut]
