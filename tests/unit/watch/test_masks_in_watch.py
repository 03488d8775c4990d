"""What a mask hides is not judged, stored, shown or sent; a change holds while the watch runs."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from judging import SAMPLING
from scripted_server import ScriptedServer
from vigil.errors import StoreError
from vigil.frames import RGB, decode_jpeg
from vigil.masks import Mask
from vigil.sources.address import find_sources
from vigil.sources.source_identity import identity_of
from vigil.sources.video_file import read_frames
from vigil.store import CameraRecord, Store
from vigil.store.cameras import CameraSettings
from vigil.verdict import JudgedWindow
from vigil.watch import Watcher
from vigil.watch.camera_ids import CameraIds
from waiting import HANG_S
from watching import Notes, bright_server, film, pictures_in, watched

LEFT = Mask(kind="privacy", points=((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
MIDDLE_PX = 64


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


def are_masked(pictures: Sequence[RGB]) -> bool:
    return all(float(picture[:, :MIDDLE_PX].max()) < 40 for picture in pictures)


def judged_pictures(server: ScriptedServer) -> list[RGB]:
    return [decode_jpeg(jpeg) for request in server.requests for jpeg in pictures_in(request)]


def test_a_masked_area_is_in_no_judged_stored_or_sent_picture(server: ScriptedServer, tmp_path: Path) -> None:
    fight = film(tmp_path / "a.mp4", seconds=12, bright=[(0.0, 12.0)])
    [address] = find_sources([str(fight)])
    with Store.open(tmp_path / "events.db") as store:
        row = store.cameras.register(CameraRecord(id="", name="a.mp4", identity=identity_of(address), kind="file"))
        store.cameras.set_masks(row.id, [LEFT])
        # Half of the picture is black, so the rest must be bright enough for an alarm: any brightness is one here.
        server.default = always_yes(server)
        asyncio.run(watched(server, [fight], Notes(), store=store, keep_frames=True))
        [event] = store.events.find()
        media = {file.kind: file.path for file in store.media.of_event(event.id)}
        assert {"snapshots", "clips", "frames"} <= media.keys()
        frames = [file.path for file in store.media.of_event(event.id) if file.kind == "frames"]
        stored = [decode_jpeg(media["snapshots"].read_bytes())]
        stored += [frame.image for frame in read_frames(media["clips"], SAMPLING)]
        stored += [decode_jpeg(path.read_bytes()) for place in frames for path in sorted(place.glob("*.jpg"))]
    judged = judged_pictures(server)
    assert judged and len(stored) > 3
    assert are_masked(judged) and are_masked(stored)
    assert all(picture[:, MIDDLE_PX + 8 :].max() > 200 for picture in (*judged, *stored))


def always_yes(server: ScriptedServer) -> object:
    from judging import yes

    return lambda request: yes(-0.02, -4.0)


@dataclass
class Masking(Notes):
    """Masks the source once its first window was judged."""

    watch: Watcher | None = None
    changed_after: list[int] = field(default_factory=list)

    def on_verdict(self, judged: JudgedWindow) -> None:
        super().on_verdict(judged)
        if self.watch is not None and not self.changed_after:
            self.changed_after.append(judged.window)
            self.watch.masks_of(judged.source).change_to((LEFT,))


def test_a_change_while_watching_holds_at_once_and_no_window_mixes_both(server: ScriptedServer, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", seconds=8, bright=[(0.0, 8.0)])
    notes = Masking()

    def on_start(watch: Watcher) -> None:
        notes.watch = watch

    sampling = replace(SAMPLING, fps=8.0)
    summary = asyncio.run(watched(server, [path], notes, on_start=on_start, sampling=sampling, realtime=True))
    windows = [[decode_jpeg(jpeg) for jpeg in pictures_in(request)] for request in server.requests]
    masked = [[are_masked([picture]) for picture in window] for window in windows if window]
    assert all(len(set(window)) == 1 for window in masked)
    assert {window[0] for window in masked} == {True, False} and masked[-1][0] and not masked[0][0]
    assert summary.unaccounted == 0


def test_a_camera_whose_masks_cannot_be_read_is_not_read_until_they_can(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "a.mp4", seconds=3)
    found, failures = CameraIds.settings_of, [1, 1]

    def fails_twice(self: CameraIds, address: object) -> CameraSettings:
        if failures:
            failures.pop()
            raise StoreError("the database is locked")
        return found(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(CameraIds, "settings_of", fails_twice)
    monkeypatch.setattr("vigil.watch.camera_lookup.AGAIN_S", 0.05)
    notes = Notes()
    with Store.open(tmp_path / "events.db") as store:
        summary = asyncio.run(asyncio.wait_for(watched(server, [path], notes, store=store), HANG_S))
    assert [stage for _, stage in notes.states][:2] == ["lost", "lost"] and notes.states[-1][1] == "ended"
    assert summary.sources[0].judged > 0
