"""What an open page costs while nobody uses it: Gradio is asked to look around less often.

Its server looks a thousand times a second whether an event has come, for each language's page; and its sign of loading
goes on counting in every browser after it has gone, sixty times a second. Together a fifth of a slow core.
"""

from pathlib import Path

import gradio as gr

EVENT_POLL_S = 0.01
PROGRESS_POLL_S = 0.1

SCRIPT = (Path(__file__).resolve().parent / "scripts" / "idle.js").read_text(encoding="utf-8")


def poll_less(page: gr.Blocks) -> None:
    """An event waits `EVENT_POLL_S` at the most before its work begins; nobody sees that."""
    page._queue.sleep_when_free = EVENT_POLL_S
    page._queue.progress_update_sleep_when_free = PROGRESS_POLL_S
