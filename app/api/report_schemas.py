"""The form of a report of a day or a shift."""

from pydantic import BaseModel, Field

from .schemas import TierName


class ReportCamera(BaseModel):
    """One camera: events by tier, for how long it was judged, and when for ten minutes or more it was not."""

    id: str
    name: str
    place: str
    tiers: dict[TierName, int]
    judged_s: float
    windows: int
    unknown_windows: int
    outages: list[tuple[str, str]] = Field(description="From and until, in local time with its offset.")


class ReportEvent(BaseModel):
    """An event that nobody has marked or acknowledged; `onset` is local time with its offset, null for a file."""

    event: str
    camera: str
    tier: TierName
    rule: str
    label: str
    onset: str | None
    onset_s: float
    text: str


class ReportMissed(BaseModel):
    """An incident that raised no event."""

    camera: str
    since: str
    note: str


class ReportOut(BaseModel):
    """What a day or a shift held; times are local to `timezone` (empty: the service's machine), with their offset.

    `rules`, `hours` and `marks` count events; `hours` are hours of the day. `unseen` are the first of `unseen_count`
    events that nobody has looked at. With `is_cut` there were more than 10,000 events, of which the newest are counted.
    """

    since: str
    until: str
    timezone: str
    shift: str
    is_over: bool
    events: int
    observations: int
    rules: dict[str, int]
    hours: dict[int, int]
    marks: dict[str, int]
    cameras: list[ReportCamera]
    unseen: list[ReportEvent]
    unseen_count: int
    missed: list[ReportMissed]
    is_cut: bool
