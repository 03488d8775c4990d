"""Events and verdicts for tests: windows of the default sampling, 2.5 s long, one every 2 s."""

from typing import Any

from vigil.events import Event, EventWindow, Tier, new_id
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict


def make_event(*, windows: int = 2, p: float = 0.9, **fields: Any) -> Event:
    """An event at the door that goes on, unless `fields` say otherwise."""
    evidence = tuple(EventWindow(window=i, start_s=i * 2.0, end_s=i * 2.0 + 2.5, p_alarm=p) for i in range(windows))
    values: dict[str, Any] = {
        "id": new_id(),
        "source": "door",
        "onset_s": 0.0,
        "peak": p,
        "peak_s": 1.25,
        "tier": Tier.MEDIUM,
        "windows": evidence,
        "announced_s": 3.0,
        "text": "两个人在打架 by the door",
        "task": "fight",
        "model": "m",
    }
    return Event(**(values | fields))


def make_judged(window: int, p: float | None = 0.9, *, source: str = "door", text: str | None = None) -> JudgedWindow:
    """A window's verdict; without a probability it is unknown."""
    start_s, end_s = window * 2.0, window * 2.0 + 2.5
    if p is None:
        verdict = Verdict.unknown(Cause.TIMEOUT, start_s=start_s, end_s=end_s, detail="slow")
    else:
        outcome = Outcome.ALARM if p >= 0.5 else Outcome.NORMAL
        verdict = Verdict(outcome=outcome, p_alarm=p, start_s=start_s, end_s=end_s, text=text, latency_ms=42.0)
    return JudgedWindow(source=source, window=window, verdict=verdict)
