"""Alarms that are heard and seen outside the page: a sound that the browser makes, and its notifications.

What is rung and shown is decided in the browser (`scripts/notify.js`): whether it may sound is a choice of this visitor
on this machine, kept there. The words come from here; when to ring comes from `app.web.alarm_stream`.
"""

from pathlib import Path

from app.language import Language, Translator
from vigil.events import Event

SCRIPT = (Path(__file__).resolve().parent / "scripts" / "notify.js").read_text(encoding="utf-8")
WORDS = ("sound_on", "sound_off", "sound_blocked", "notes_on", "notes_ask", "notes_denied")
LONGEST = 160


def head(language: Language) -> str:
    """What makes a page listen from its beginning on, for its head."""
    return f'<script>\n{SCRIPT}\nvigilBell.listen("{language}");\n</script>'


def words(t: Translator) -> dict[str, str]:
    """What stands on its switches."""
    return {word: t(f"room.{word}") for word in WORDS}


def told(event: Event, t: Translator, *, key: str, late: bool = False) -> dict[str, str]:
    """An alarm as the browser is told of it; notifications show text only, never HTML."""
    said = "room.alarm_late" if late else "room.alarm_title"
    title = t(said, source=event.source, tier=t(f"room.tier_{event.tier}"))
    return {"key": key, "id": event.id, "title": title, "text": event.text[:LONGEST]}
