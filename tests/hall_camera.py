"""A hall that is watched with questions and rules of its own: `vigil watch` in a process, on a real RTSP stream."""

import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from rtsp_server import running as camera
from scripted_server import ScriptedServer
from vigil.events import Event
from vigil.store import Store
from waiting import HANG_S, until

TOKENS = {"是的": [7], "没有": [9], "Yes": [7], "No": [9]}
QUESTIONS = {
    "people": """
name: people
question: Is there anybody in the hall? Answer Yes or No.
language: en
labels: [{name: present, word: "Yes", is_alarm: true}, {name: absent, word: "No"}]
""",
    "lights": """
name: lights
question: Are the lights on? Answer Yes or No.
language: en
labels: [{name: "on", word: "Yes", is_alarm: true}, {name: "off", word: "No"}]
""",
}


def watch_hall(film: Path, server: ScriptedServer, *, config: str, rules: Collection[str]) -> None:
    """Watches a film as a camera's stream until every rule has an event that has ended; ADDRESS is the camera's.

    The settings, the store and the log are beside the film.
    """
    folder = film.parent
    with camera(film) as rtsp, (folder / "log").open("w") as log:
        for name, text in (QUESTIONS | {"watch": config.replace("ADDRESS", rtsp.address(film.stem))}).items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        words = ["watch", "hall", "--config", "watch.yaml", "--url", server.url, "--store", "events.db"]
        command = [sys.executable, "-m", "vigil", *words, "--max-pixels", "12288"]
        process = subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.DEVNULL, stderr=log)
        try:
            until(lambda: process.poll() is not None or has_ended(folder, rules), every_s=0.5)
            process.send_signal(signal.SIGINT)
            assert process.wait(HANG_S) == 0, (folder / "log").read_text()
        finally:
            process.kill()
            process.wait(HANG_S)
    assert "Traceback" not in (folder / "log").read_text()


def has_ended(folder: Path, rules: Collection[str]) -> bool:
    """Whether every rule has an event that has ended."""
    return {event.rule for event in events_in(folder) if not event.is_open} >= set(rules)


def events_in(folder: Path) -> list[Event]:
    """The events in the store, in the order of their onsets; none while there is no store."""
    if not (folder / "events.db").exists():
        return []
    with Store.open(folder / "events.db", create=False) as store:
        return sorted(store.events.find(), key=lambda event: event.onset_s)
