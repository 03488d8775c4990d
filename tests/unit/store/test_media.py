import os
import time
from pathlib import Path

import pytest

from incidents import make_event, make_judged
from vigil.errors import SourceError, StoreError, UsageError
from vigil.store import PruneReport, RetentionSettings, Store, prune
from vigil.store.times import format_utc

DAY_S = 86_400.0


def keep_clip(store: Store, event_id: str, *, size_bytes: int = 1000) -> Path:
    return store.media.keep(event_id, "clips", ".mp4", lambda path: path.write_bytes(b"x" * size_bytes) and None)


def test_a_clip_takes_its_name_when_it_is_whole(store: Store) -> None:
    event = make_event()
    store.events.save(event)
    written: list[str] = []

    def write(path: Path) -> None:
        written.append(path.name)
        path.write_bytes(b"clip")
        assert not (store.folder / "clips" / f"{event.id}.mp4").exists()

    path = store.media.keep(event.id, "clips", ".mp4", write)
    assert written == [f"{event.id}.partial.mp4"] and path.read_bytes() == b"clip"
    assert [(file.path, file.kind, file.size_bytes) for file in store.media.of_event(event.id)] == [(path, "clips", 4)]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_exact_pictures_of_a_window_are_kept_and_may_be_kept_again(store: Store) -> None:
    event = make_event()
    store.events.save(event)
    for _ in range(2):
        folder = store.media.keep_frames(event.id, 7, [b"one", b"two"])
    assert folder == store.folder / "frames" / event.id / "000007"
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == [b"one", b"two"]
    assert [file.size_bytes for file in store.media.of_event(event.id)] == [6]


def test_where_a_clip_begins_is_kept_if_its_writer_says_so(store: Store) -> None:
    event = make_event()
    store.events.save(event)

    def write(path: Path) -> float:
        path.write_bytes(b"clip")
        return 12.5

    store.media.keep(event.id, "clips", ".mp4", write)
    store.media.keep(event.id, "snapshots", ".jpg", lambda path: path.write_bytes(b"jpeg"))
    assert {file.kind: file.begins_s for file in store.media.of_event(event.id)} == {"clips": 12.5, "snapshots": None}


def test_a_failed_write_leaves_nothing_behind(store: Store) -> None:
    event = make_event()
    store.events.save(event)

    def break_off(path: Path) -> None:
        path.write_bytes(b"half")
        raise SourceError("the stream is gone")

    with pytest.raises(SourceError, match="the stream is gone"):
        store.media.keep(event.id, "clips", ".mp4", break_off)
    with pytest.raises(StoreError, match="noting clips of event nobody"):
        keep_clip(store, "nobody")
    with pytest.raises(StoreError, match="No such file"):
        store.media.keep(event.id, "snapshots", ".jpg", lambda path: None)
    assert [path for path in store.folder.rglob("*") if path.suffix in {".mp4", ".jpg"}] == []
    assert store.media.of_event(event.id) == []


def test_old_media_and_verdicts_go_and_the_events_stay(store: Store) -> None:
    now_s = time.time()
    old = make_event(epoch_s=now_s - 40 * DAY_S, end_s=9.0)
    fresh = make_event(epoch_s=now_s - 2 * DAY_S, end_s=9.0)
    still_open = make_event(epoch_s=now_s - 40 * DAY_S)
    for event in (old, fresh, still_open):
        store.events.save(event)
        keep_clip(store, event.id)
        store.media.keep_frames(event.id, 0, [b"one"])
    assert prune(store, RetentionSettings()) == PruneReport(files=2, freed_bytes=1003)
    assert (
        store.media.of_event(old.id) == []
        and len(store.media.of_event(fresh.id)) == len(store.media.of_event(still_open.id)) == 2
    )
    left = {path.name for path in (store.folder / "frames").iterdir()}
    assert left == {fresh.id, still_open.id} and len(store.events.find()) == 3


def test_when_media_are_too_many_the_oldest_go_first_but_never_those_of_an_open_event(store: Store) -> None:
    events = [make_event(epoch_s=1000.0 * i, end_s=None if i == 0 else 5.0) for i in range(4)]
    for event in events:
        store.events.save(event)
        keep_clip(store, event.id)
    kept = RetentionSettings(media_days=None, media_mb=0.0025)
    assert prune(store, kept).files == 2 and prune(store, kept).files == 0
    assert [len(store.media.of_event(event.id)) for event in events] == [1, 0, 0, 1]
    assert prune(store, RetentionSettings(media_days=None, media_mb=0)).files == 1
    assert len(store.media.of_event(events[0].id)) == 1


def test_events_themselves_go_when_asked_to_with_all_they_have(store: Store) -> None:
    event, still_open = make_event(epoch_s=1000.0, end_s=9.0), make_event(epoch_s=1000.0)
    for each in (event, still_open):
        store.events.save(each)
        keep_clip(store, each.id)
    pruned = prune(store, RetentionSettings(media_days=None, media_mb=None, event_days=365))
    assert (pruned.events, pruned.files) == (1, 1)
    assert store.events.find() == [still_open] and store.media.of_event(event.id) == []


def test_the_log_of_verdicts_goes_by_age_and_with_it_the_watches_that_left_nothing(store: Store) -> None:
    store.sessions.start(source="door")
    store.verdicts.add([make_judged(i) for i in range(12)])
    store.sessions.end("door", because="stopped")
    assert prune(store, RetentionSettings(verdict_days=1)).verdicts == 0
    later = prune(store, RetentionSettings(verdict_days=1), clock=lambda: time.time() + 2 * DAY_S)
    assert later.verdicts == 12 and store.sessions.of_camera("door") == []


def test_what_a_killed_writer_left_half_written_is_cleared_away_later(store: Store) -> None:
    half = store.folder / "clips" / "id.partial.mp4"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    prune(store, RetentionSettings())
    assert half.exists()
    os.utime(half, (1000.0, 1000.0))
    prune(store, RetentionSettings())
    assert not half.exists()


def test_a_retention_below_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="media_mb"):
        RetentionSettings(media_mb=-1)


def test_moments_sort_as_text() -> None:
    assert format_utc(0.0) == "1970-01-01T00:00:00.000Z" < format_utc(1.5) == "1970-01-01T00:00:01.500Z"
