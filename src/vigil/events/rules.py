"""The rules that make events of verdicts: all of them settings, the defaults explained in docs/events.md."""

import math
from dataclasses import dataclass, field

from vigil.errors import UsageError
from vigil.events.tiers import TierThresholds
from vigil.verdict import Outcome, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class HysteresisSettings:
    """When an event opens, goes on, and closes.

    `k` of the last `n` known verdicts from `tiers.low` on open it; windows from `stay` on keep it open; `quiet_s`
    seconds of footage that was judged and lies below `stay` close it; `lost_s` seconds without any known verdict
    close it as lost from sight; past `max_event_s` it is split.
    """

    k: int = 2
    n: int = 3
    tiers: TierThresholds = field(default_factory=TierThresholds)
    stay: float = 0.5
    quiet_s: float = 6.0
    lost_s: float = 60.0
    max_event_s: float = 600.0

    def __post_init__(self) -> None:
        checks = (
            (1 <= self.k <= self.n, f"k must be from 1 to n, not {self.k} of {self.n}"),
            (self.n <= 100, f"n must be at most 100, not {self.n}"),
            (0 < self.stay <= self.tiers.low, f"stay must be above 0 and at most tiers.low, not {self.stay}"),
            (self.quiet_s > 0, f"quiet_s must be above 0, not {self.quiet_s}"),
            (self.lost_s >= self.quiet_s, f"lost_s must be at least quiet_s, not {self.lost_s}"),
            (self.max_event_s >= self.lost_s, f"max_event_s must be at least lost_s, not {self.max_event_s}"),
        )
        problems = [message for ok, message in checks if not ok]
        if problems:
            raise UsageError("; ".join(problems))

    def weight(self, verdict: Verdict) -> float | None:
        """The probability that a verdict counts with; None when it is unknown.

        A server that reports no probabilities gives only the word: an alarm then counts as just low, never more.
        """
        if verdict.outcome is Outcome.UNKNOWN:
            return None
        if verdict.p_alarm is not None:
            return None if math.isnan(verdict.p_alarm) else verdict.p_alarm
        return self.tiers.low if verdict.outcome is Outcome.ALARM else 0.0
