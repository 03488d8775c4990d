"""What there is to see of an analysis at one moment."""

from dataclasses import dataclass
from enum import StrEnum

from vigil.events.event import Event
from vigil.events.judged import JudgedWindow


class AnalysisPhase(StrEnum):
    """Where an analysis is."""

    ASKING = "asking"
    WATCHING = "watching"
    LOST = "lost"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisView:
    """One moment; `waiting_for_words` are the numbers of windows whose words may still come.

    `position_s` is the newest second that was read, `now_s` the present second of what is watched live, `lag_s` how
    far the newest verdict was behind its picture. `away` says why the endpoint is not asked at the moment. `model` is
    the one that answers, `forgotten` how many of the oldest windows are let go of.
    """

    phase: AnalysisPhase
    live: bool
    judged: tuple[JudgedWindow, ...] = ()
    events: tuple[Event, ...] = ()
    waiting_for_words: frozenset[int] = frozenset()
    position_s: float = 0.0
    now_s: float | None = None
    lag_s: float | None = None
    dropped: int = 0
    away: str = ""
    detail: str = ""
    picture: bytes | None = None
    notes: tuple[str, ...] = ()
    model: str = ""
    forgotten: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.phase in {AnalysisPhase.DONE, AnalysisPhase.STOPPED, AnalysisPhase.FAILED}
