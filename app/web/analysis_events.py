"""The events that an analysis found, as a table whose rows lead to their seconds in the player."""

from html import escape

from app.web.language import Translator
from vigil.analysis import AnalysisView
from vigil.events.event import Event
from vigil.report import colours
from vigil.report.strip import format_seconds

COLUMNS = ("onset", "length", "tier", "peak", "words")


def event_table_html(view: AnalysisView, t: Translator) -> str:
    """As HTML, everything in it escaped."""
    if not view.events:
        return f'<p class="va-quiet">{escape(t("analysis.no_events"))}</p>'
    head = "".join(f"<th>{escape(t(f'analysis.event_{name}'))}</th>" for name in COLUMNS)
    rows = "".join(_row(event, t) for event in view.events)
    return f'<table class="va-events"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(event: Event, t: Translator) -> str:
    colour = f"rgb{colours.TIER_COLOURS[event.tier]}"
    onset = escape(format_seconds(event.onset_s, tenths=True))
    length = "" if event.end_s is None else f"{event.end_s - event.onset_s:.1f} s"
    cells = (
        f'<button type="button" class="va-jump" data-second="{event.onset_s:.3f}">▶ {onset}</button>',
        length,
        f'<span class="va-tier" style="--tier:{colour}">{escape(t(f"room.tier_{event.tier}"))}</span>',
        f"{event.peak:.2f}",
        escape(event.text),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
