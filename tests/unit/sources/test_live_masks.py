"""Masked areas are in nothing that leaves a source: frames, previews, clips, snapshots."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from films import Film, rotate_by_metadata
from live_seeing import Plugged
from vigil.errors import SourceError
from vigil.frames import RGB, Frame, FrameSampling, decode_jpeg
from vigil.masks import Mask
from vigil.sources.address import Address, find_sources
from vigil.sources.capture import CaptureItem, CaptureSettings, MasksChanged
from vigil.sources.footage import FileFootage, Footage
from vigil.sources.live_masks import LiveMasks, MaskedCapture
from vigil.sources.open_capture import open_capture
from vigil.sources.preview import PreviewEncoder
from vigil.sources.video_file import read_frames
from vigil.sources.webcam import Webcam
from waiting import Hands

LEFT = Mask(kind="privacy", points=((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
TOP = Mask(kind="privacy", points=((0, 0), (1, 0), (1, 0.5), (0, 0.5)))
IGNORED = replace(LEFT, kind="ignore")
EVERY = FrameSampling(fps=10, max_pixels=320 * 256)


def address_of(path: Path, *masks: Mask) -> Address:
    [found] = find_sources([str(path)])
    return replace(found, masks=masks)


def frames_of(address: Address, **how: object) -> list[RGB]:
    capture = open_capture(address, EVERY, stop=threading.Event(), **how)  # type: ignore[arg-type]
    return [item.image for item in capture.read() if isinstance(item, Frame)]


def is_dark(area: RGB) -> bool:
    return float(area.max()) < 40


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_no_picture_of_a_clip_or_snapshot_shows_what_is_masked(film: Film, tmp_path: Path, codec: str) -> None:
    address = address_of(film("a.mp4", codec=codec), LEFT)
    footage = open_capture(address, EVERY, stop=threading.Event()).footage
    footage.clip(tmp_path / "clip.mp4", from_s=0.5, to_s=2.5)
    footage.snapshot(tmp_path / "shot.jpg", at_s=1.0)
    plain = [frame.image for frame in read_frames(Path(address.location), EVERY)]
    pictures = [frame.image for frame in read_frames(tmp_path / "clip.mp4", EVERY)]
    assert len(pictures) > 10
    for picture in (*pictures, decode_jpeg((tmp_path / "shot.jpg").read_bytes())):
        width = picture.shape[1]
        assert is_dark(picture[:, : width // 2]) and picture[:, width // 2 + 16 :].max() > 100
    assert not is_dark(plain[0][:, :160])


def test_a_mask_stands_on_the_upright_picture(film: Film, tmp_path: Path) -> None:
    path = film("a.mp4")
    rotate_by_metadata(path)
    address = address_of(path, TOP)
    footage = open_capture(address, EVERY, stop=threading.Event()).footage
    footage.clip(tmp_path / "clip.mp4", from_s=0.0, to_s=1.0)
    footage.snapshot(tmp_path / "shot.jpg", at_s=0.5)
    clip = next(iter(read_frames(tmp_path / "clip.mp4", EVERY))).image
    for picture in (frames_of(address)[0], clip, decode_jpeg((tmp_path / "shot.jpg").read_bytes())):
        height, width = picture.shape[:2]
        assert height > width
        assert is_dark(picture[: height // 2]) and not is_dark(picture[height // 2 + 16 :])


def test_the_model_sees_masks_and_ignored_zones_and_people_only_miss_what_is_private(
    film: Film, tmp_path: Path
) -> None:
    path = film("a.mp4")
    assert is_dark(frames_of(address_of(path, LEFT))[0][:, :160])
    grey = frames_of(address_of(path, IGNORED))[0]
    assert (grey[:, :160] == 128).all()
    footage = open_capture(address_of(path, IGNORED), EVERY, stop=threading.Event()).footage
    footage.snapshot(tmp_path / "shot.jpg", at_s=0.0)
    FileFootage(path).snapshot(tmp_path / "plain.jpg", at_s=0.0)
    assert (tmp_path / "shot.jpg").read_bytes() == (tmp_path / "plain.jpg").read_bytes()


@pytest.mark.parametrize(("mask", "hidden"), [(LEFT, True), (IGNORED, False)])
def test_live_pictures_show_what_is_ignored_and_hide_what_is_private(film: Film, mask: Mask, hidden: bool) -> None:
    shown: list[RGB] = []
    previewer = PreviewEncoder(
        fps=10, longest_px=320, is_wanted=lambda: True, show=lambda jpeg, _: shown.append(decode_jpeg(jpeg))
    )
    frames_of(address_of(film("a.mp4", frames=25), mask), realtime=True, previewer=previewer)
    assert len(shown) > 3
    assert all(is_dark(picture[:, : picture.shape[1] // 2]) is hidden for picture in shown)


def test_a_webcam_is_masked_as_any_camera(film: Film, tmp_path: Path) -> None:
    stop = threading.Event()
    webcam = Webcam(
        0,
        EVERY,
        stop=stop,
        settings=CaptureSettings(retry_min_s=0.1, retry_max_s=0.1),
        footage_s=30,
        opener=lambda _: Plugged(film("a.mp4")),
    )

    class Once:
        is_live = True
        started_utc_s = 0.0
        problems = ()
        footage: Footage = webcam.footage

        def read(self) -> Iterator[CaptureItem]:
            yield from webcam.session(started_s=0.0)

    capture = MaskedCapture(Once(), LiveMasks((LEFT,)))
    frames: list[Frame] = []
    with pytest.raises(SourceError):
        frames.extend(item for item in capture.read() if isinstance(item, Frame) and not frames.append(item))
    assert frames and all(is_dark(frame.image[:, : frame.image.shape[1] // 2]) for frame in frames)
    first, last = frames[0].time_s, frames[-1].time_s
    capture.footage.clip(tmp_path / "clip.mp4", from_s=first - 1, to_s=last + 1)
    capture.footage.snapshot(tmp_path / "shot.jpg", at_s=last)
    assert is_dark(decode_jpeg((tmp_path / "shot.jpg").read_bytes())[:, :160])
    assert all(is_dark(each.image[:, :160]) for each in read_frames(tmp_path / "clip.mp4", EVERY))


class Still:
    """A capture of white pictures."""

    is_live = True
    started_utc_s = 0.0
    problems = ()
    footage: Footage = FileFootage(Path("nowhere"))

    def read(self) -> Iterator[CaptureItem]:
        for number in range(4):
            yield Frame(np.full((64, 64, 3), 255, np.uint8), number / 2)


def test_a_change_holds_from_the_next_picture_on_and_is_told_before_it() -> None:
    masks = LiveMasks()
    items = MaskedCapture(Still(), masks).read()
    assert isinstance(first := next(items), Frame) and first.image.min() == 255
    masks.change_to((LEFT,))
    assert isinstance(next(items), MasksChanged)
    assert isinstance(second := next(items), Frame) and is_dark(second.image[:, :32])
    masks.change_to(())
    assert [type(item) for item in items] == [MasksChanged, Frame, Frame]


def test_a_mask_that_was_removed_stays_in_clips_of_the_time_when_it_was_in_force() -> None:
    hands, white = Hands(), np.full((64, 64, 3), 255, np.uint8)
    masks = LiveMasks((LEFT, IGNORED), memory_s=30, clock=hands)
    masks.change_to(())
    retouch = masks.retouch()
    assert retouch is not None and is_dark(retouch(white)[:, :32]) and masks.for_people(white) is white
    hands.wait(31)
    assert masks.retouch() is None


def test_masks_that_were_looked_up_do_not_undo_a_newer_change() -> None:
    masks = LiveMasks()
    masks.begin((LEFT,))
    assert masks.current == (LEFT,)
    masks.change_to((TOP,))
    masks.begin((LEFT,))
    assert masks.current == (TOP,)
