import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from app.web import browser_copies
from app.web.browser_copies import WAITING, BrowserCopies, PlayableClip

from rooms import context_of
from vigil.errors import SourceError
from waiting import HANG_S, until
from watching import film


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[BrowserCopies]:
    made = BrowserCopies(tmp_path / "copies")
    yield made
    made.stop()


def h265(path: Path, *, seconds: float = 2) -> Path:
    return film(path, seconds=seconds, codec="libx265")


def wait_until_made(copies: BrowserCopies, clip: Path) -> PlayableClip:
    until(lambda: copies.look(clip).kind != "coming")
    return copies.look(clip)


def codec_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.name


def test_what_browsers_play_and_what_nobody_can_read_is_shown_as_it_is(copies: BrowserCopies, tmp_path: Path) -> None:
    clip, broken = film(tmp_path / "a.mp4", seconds=1), tmp_path / "b.mp4"
    broken.write_bytes(b"no clip")
    for path in (clip, broken, tmp_path / "gone.mp4"):
        assert (copies.look(path).kind, copies.look(path).path) == ("original", path)
    assert not (tmp_path / "copies").exists()


def test_an_h265_clip_gets_a_copy_that_browsers_play_and_stays_as_it_was(copies: BrowserCopies, tmp_path: Path) -> None:
    clip = h265(tmp_path / "a.mp4")
    before = clip.read_bytes()
    first = copies.look(clip)
    look = wait_until_made(copies, clip)
    assert (first.kind, first.path, first.codec) == ("coming", None, "H.265")
    assert look.kind == "copy" and look.path is not None and codec_of(look.path) == "h264"
    assert clip.read_bytes() == before and copies.look(clip) == look


def test_a_copy_that_was_swept_is_made_again_and_another_clip_gets_another(
    copies: BrowserCopies, tmp_path: Path
) -> None:
    clip = h265(tmp_path / "a.mp4")
    first = wait_until_made(copies, clip).path
    assert first is not None
    first.unlink()
    assert copies.look(clip).kind == "coming" and wait_until_made(copies, clip).path == first
    h265(clip, seconds=3)
    assert wait_until_made(copies, clip).path != first


def test_a_look_keeps_a_copy_from_the_sweep_that_removes_it_later(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    copies, clip = browser_copies.browser_copies(context), h265(tmp_path / "a.mp4")
    path = wait_until_made(copies, clip).path
    assert path is not None and path.is_relative_to(context.uploads.folder)
    old_s = time.time() - 10 * context.uploads.keep_s
    os.utime(path, (old_s, old_s))
    copies.look(clip)
    assert context.uploads.sweep() == 0
    os.utime(path, (old_s, old_s))
    assert context.uploads.sweep() == 1 and not path.exists()


def test_a_clip_that_cannot_be_copied_is_tried_once_and_says_why(
    copies: BrowserCopies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, tries = h265(tmp_path / "a.mp4"), []

    def fails(video: Path, path: Path, *, stop: threading.Event) -> None:
        tries.append(video)
        raise SourceError(f"{path} cannot be written: no space left")

    monkeypatch.setattr(browser_copies, "write_browser_copy", fails)
    look = wait_until_made(copies, clip)
    assert (look.kind, look.why) == ("failed", "a.mp4 cannot be written: no space left")
    assert copies.look(clip) == look and len(tries) == 1


def test_of_many_clips_the_one_looked_at_last_comes_first_and_old_ones_give_way(
    copies: BrowserCopies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    may_go = threading.Event()

    def slowly(video: Path, path: Path, *, stop: threading.Event) -> bool:
        made.append(video.name)
        may_go.wait(HANG_S)
        return bool(path.write_bytes(b"copy"))

    monkeypatch.setattr(browser_copies, "write_browser_copy", slowly)
    source = h265(tmp_path / "source.mp4").read_bytes()
    clips = [tmp_path / f"{number}.mp4" for number in range(WAITING + 3)]
    for clip in clips:
        clip.write_bytes(source)
        copies.look(clip)
        until(lambda: made)
    may_go.set()
    until(lambda: len(made) >= WAITING + 1)
    newest_first = [clip.name for clip in reversed(clips[-WAITING:])]
    assert made == [clips[0].name, *newest_first]


def test_stopping_ends_the_copy_that_is_being_made_and_leaves_no_half_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = threading.Event()

    def waits(video: Path, path: Path, *, stop: threading.Event) -> bool:
        began.set()
        stop.wait(HANG_S)
        return bool(path.write_bytes(b"half"))

    monkeypatch.setattr(browser_copies, "write_browser_copy", waits)
    copies, clip = BrowserCopies(tmp_path / "copies"), h265(tmp_path / "a.mp4")
    copies.look(clip)
    assert began.wait(HANG_S)
    copies.stop()
    assert list((tmp_path / "copies").iterdir()) == [] and copies.look(clip).kind == "coming"
