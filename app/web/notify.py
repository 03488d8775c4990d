"""Alarms that are heard and seen outside the page: a sound that the browser makes, and its notifications.

What is rung and shown is decided in the browser (`scripts/notify.js`): whether it may sound is a choice of this visitor
on this machine, kept there. The words come from here.
"""

from pathlib import Path

from app.web.board import Alarm
from app.web.language import Translator

SCRIPTS = Path(__file__).resolve().parent / "scripts"
WORDS = ("sound_on", "sound_off", "notes_on", "notes_ask", "notes_denied")
LONGEST = 160


def script() -> str:
    """The script that makes `bell`; it goes before the script of a component that rings."""
    return (SCRIPTS / "notify.js").read_text(encoding="utf-8")


def words(t: Translator) -> dict[str, str]:
    """What stands on its switches."""
    return {word: t(f"room.{word}") for word in WORDS}


def told(alarm: Alarm, t: Translator) -> dict[str, object]:
    """An alarm as the browser is told of it; notifications show text only, never HTML."""
    event = alarm.event
    if event is None:
        return {"number": alarm.number}
    title = t("room.alarm_title", source=event.source, tier=t(f"room.tier_{event.tier}"))
    return {"number": alarm.number, "id": event.id, "title": title, "text": event.text[:LONGEST]}
