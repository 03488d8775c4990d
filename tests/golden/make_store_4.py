"""Makes `store_4.sql`: a store as Vigil of commit e38c2d7 (2026-11-29, tables at step 4) left one, as SQL text.

Run by that commit's code, and by no later one: `python tests/golden/make_store_4.py > tests/golden/store_4.sql`. In it
are two files of one name, a stream that its owner gave a name, a webcam, watches of before sources had an identity, an
event outside any watch, and two changes that nobody was told of, as watchers leave them that are killed.
"""

import sqlite3
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from vigil.events import Event, EventWindow, Tier
from vigil.sources.address import Address
from vigil.sources.source_identity import identity_of
from vigil.store import Store
from vigil.store.migrations import NEWEST
from vigil.verdict import JudgedWindow, Outcome, Verdict

EPOCH_S = 1_795_935_600.0

FILES = {
    "clip.mp4": Address("file", "clip.mp4", "/srv/a/clip.mp4"),
    "b/clip.mp4": Address("file", "clip.mp4", "/srv/b/clip.mp4"),
}
DOOR = Address("stream", "door", "rtsp://user:hunter2@10.0.0.7:554/1?token=12345")
WEBCAM = Address("webcam", "webcam 0", "0")


def event(number: int, source: str, **fields: object) -> Event:
    windows = tuple(
        EventWindow(window=i, start_s=i * 2.0, end_s=i * 2.0 + 2.5, p_alarm=0.8 + i / 100) for i in range(3)
    )
    made = Event(
        id=f"20261129T07000{number}000Z-0000000{number}",
        source=source,
        onset_s=0.0,
        end_s=6.5,
        peak=0.82,
        peak_s=5.25,
        tier=Tier.LOW,
        windows=windows,
        announced_s=5.0,
        text="两个人在打架",
        task="fight",
        model="m",
        closed_because="quiet",
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def judged(source: str, window: int) -> JudgedWindow:
    verdict = Verdict(
        outcome=Outcome.ALARM, p_alarm=0.8, start_s=window * 2.0, end_s=window * 2.0 + 2.5, latency_ms=40.0, text="打架"
    )
    return JudgedWindow(source=source, window=window, verdict=verdict)


def fill(store: Store) -> None:
    """Writes all that is described above."""
    store.save_event(event(0, "nobody"), session=None)
    for source, identity, live, number in (
        ("clip.mp4", "", False, 1),
        ("clip.mp4", identity_of(FILES["clip.mp4"]), False, 2),
        ("b/clip.mp4", identity_of(FILES["b/clip.mp4"]), False, 3),
        ("old yard", "", True, 4),
        ("door", identity_of(DOOR), True, 5),
        ("webcam 0", identity_of(WEBCAM), True, 6),
    ):
        epoch_s = EPOCH_S + number if live else None
        store.start_session(source=source, identity=identity, epoch_s=epoch_s, model="m", task="fight", contract="c")
        store.add_verdicts([judged(source, window) for window in range(4)])
        store.save_event(event(number, source, epoch_s=epoch_s))
    # The same stream under the name that it had before its owner gave it one, seen earlier.
    store.start_session(source="rtsp://10.0.0.7:554/1?***", identity=identity_of(DOOR), epoch_s=EPOCH_S - 900.0)
    store.save_untold(event(7, "door", end_s=None, closed_because="", epoch_s=EPOCH_S), "opened")
    store.save_untold(event(8, "b/clip.mp4"), "closed")
    store.mark(event(2, "").id, "false_alarm", who="lena", note="two boys play")
    store.mark(event(2, "").id, "true", who="ali")
    store.keep(event(5, "").id, "clips", ".mp4", lambda path: path.write_bytes(b"a clip"))


def main() -> None:
    if NEWEST != 4:
        sys.exit("the tables of this Vigil are newer than step 4; check out e38c2d7 to make this file anew")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.db"
        with Store.open(path) as store:
            fill(store)
        connection = sqlite3.connect(path)
        sys.stdout.write("\n".join(connection.iterdump()) + "\n")


if __name__ == "__main__":
    main()
