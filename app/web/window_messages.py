"""The windows of an analysis as chat messages: verdict and probability first, then the description.

The HTML is ours, with every text escaped; seconds are in class names, since the chatbot strips other attributes.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

from vigil.events import Event
from vigil.report.timeline import format_seconds

from ..language import Translator

WindowRow = dict[str, Any]
"""One window, as `analysis_stage.window_row` returns it."""


def window_html(row: WindowRow, run: str, t: Translator) -> str:
    """One window with its time; a click seeks to it."""
    p = "" if row["p"] is None else f'<span class="vc-p">{row["p"]:.2f}</span>'
    text = row["words"] or row["why"] or (t("analysis.waiting_words") if row["waits"] else "")
    description = f'<span class="vc-words">{escape(text)}</span>' if text else ""
    kind = f"is-{row['kind']} run-{run} n-{row['n']} {_seconds(row['s'], row['e'])}"
    return (
        f'<button class="vc-window {kind}" style="--verdict:{row["colour"]}" title="{escape(t("chat.seek"))}">'
        f'<time class="vc-time">{escape(row["time"])}</time>'
        f'<span class="vc-label">{escape(row["label"])}</span>{p}{description}</button>'
    )


def sum_html(state: dict[str, Any], run: str, events: Sequence[Event], t: Translator, *, for_verdict: bool) -> str:
    """The summary of an analysis: counts, events that seek to their seconds, and where to find the rest."""
    lines = [f"<b>{escape(state['phase'])}</b> · {escape(state['facts'])}"]
    if state["detail"]:
        lines.append(escape(state["detail"]))
    if for_verdict and state["rows"]:
        lines += [_event(event, run, t) for event in events] or [escape(t("chat.no_alarm"))]
    if state["rows"]:
        lines.append(f'<button class="vc-results">{escape(t("chat.results"))}</button>')
    return f'<div class="vc-sum">{"".join(f"<div>{line}</div>" for line in lines)}</div>'


def _event(event: Event, run: str, t: Translator) -> str:
    end_s = event.onset_s if event.end_s is None else event.end_s
    times = f"{format_seconds(event.onset_s, tenths=True)} – {format_seconds(end_s, tenths=True)}"
    label = t("chat.event", tier=t(f"tier.{event.tier}"), peak=f"{event.peak:.2f}")
    description = f'<span class="vc-words">{escape(event.text)}</span>' if event.text else ""
    return (
        f'<button class="vc-window is-alarm run-{run} {_seconds(event.onset_s, end_s)}">'
        f'<time class="vc-time">{escape(times)}</time>'
        f'<span class="vc-label">{escape(label)}</span>{description}</button>'
    )


def _seconds(start_s: float, end_s: float) -> str:
    return f"from-{round(start_s * 1000)} to-{round(end_s * 1000)}"
