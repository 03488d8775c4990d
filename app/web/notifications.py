"""Alarm sounds and desktop notifications in the browser.

`scripts/notify.js` decides what to play and show, since permission belongs to this visitor on this machine. The texts
come from here, the alarms from `app.web.alarm_stream`.
"""

from pathlib import Path

from vigil.events import Event

from ..language import Language, Translator

SCRIPT = (Path(__file__).resolve().parent / "scripts" / "notify.js").read_text(encoding="utf-8")
LABELS = ("sound_on", "sound_off", "sound_blocked", "notes_on", "notes_ask", "notes_denied")
LONGEST = 160


def head(language: Language) -> str:
    """The script for the head of a page, which listens from the start."""
    return f'<script>\n{SCRIPT}\nvigilBell.listen("{language}");\n</script>'


def labels(t: Translator) -> dict[str, str]:
    """The labels of its switches."""
    return {key: t(f"room.{key}") for key in LABELS}


def payload(event: Event, t: Translator, *, key: str, late: bool = False) -> dict[str, str]:
    """An alarm as sent to the browser; notifications show plain text, never HTML."""
    title_key = "room.alarm_late" if late else "room.alarm_title"
    title = t(title_key, source=event.source, tier=t(f"room.tier_{event.tier}"))
    return {"key": key, "id": event.id, "title": title, "text": event.text[:LONGEST]}
