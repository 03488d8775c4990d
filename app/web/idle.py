"""What a page costs beside what it is for: Gradio is asked to look around less often, and to tell less.

Its server looks a thousand times a second whether an event has come, for each language's page; and its sign of loading
goes on counting in every browser after it has gone, sixty times a second. Together a fifth of a slow core.
"""

from pathlib import Path
from typing import Any

import gradio as gr

EVENT_POLL_S = 0.01
PROGRESS_POLL_S = 0.1

SILENT: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": [], "api_visibility": "private"}
"""For events without a sign of loading.

Gradio tells the stages of each event to every component that might show such a sign, and takes a copy of all that it
holds each time, be it a figure or a list of rows: some 20 ms of a slow browser, several times a click.
"""

PROGRESS_SCRIPT = (Path(__file__).resolve().parent / "scripts" / "idle.js").read_text(encoding="utf-8")


def slow_event_polling(page: gr.Blocks) -> None:
    """An event waits `EVENT_POLL_S` at the most before its work begins; nobody sees that."""
    page._queue.sleep_when_free = EVENT_POLL_S
    page._queue.progress_update_sleep_when_free = PROGRESS_POLL_S
