"""What phones and browsers send: shown whole, or refused by the name of the format, whatever the file is called."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from films import Film, shoot
from vigil.errors import SourceError
from vigil.frames import FrameSampling
from vigil.sources.image_worker import ImageWorker
from vigil.sources.images import read_image
from vigil.sources.media_content import inspect_content
from vigil.sources.video_file import open_video

COLOURS = ((200, 20, 20), (20, 160, 20), (20, 20, 200), (220, 220, 20))


def halves(left: tuple[int, int, int] = COLOURS[0], size_wh: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture with a colour on the left and blue on the right."""
    image = Image.new("RGB", size_wh, left)
    image.paste((20, 20, 200), (size_wh[0] // 2, 0, *size_wh))
    return image


def save(path: Path, format: str, *, pictures: int = 1) -> Path:
    first, *more = [halves(COLOURS[number % 4]) for number in range(pictures)]
    moving = {"save_all": True, "append_images": more}
    if format != "MPO":
        moving["duration"] = 500
    first.save(path, format, **(moving if more else {}))
    return path


def shows_both_halves(image: np.ndarray) -> bool:
    middle = image[image.shape[0] // 2]
    left, right = middle[len(middle) // 4].astype(int), middle[len(middle) * 3 // 4].astype(int)
    return bool(np.abs(left - COLOURS[0]).max() < 20 and np.abs(right - (20, 20, 200)).max() < 20)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.mpo", "video.mp4"])
def test_a_phones_photo_with_a_second_picture_in_it_is_a_picture(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, "MPO", pictures=2)
    assert inspect_content(path).format == "JPEG"
    assert shows_both_halves(read_image(path, max_pixels=None))


def test_a_worker_takes_it_for_a_picture_too(tmp_path: Path) -> None:
    worker = ImageWorker()
    try:
        path = save(tmp_path / "photo.jpg", "MPO", pictures=2)
        assert worker.inspect(path).kind == "picture"
        assert shows_both_halves(worker.read_image(path, max_pixels=None))
    finally:
        worker.close()


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_picture_that_moves_is_played_from_end_to_end(tmp_path: Path, sampling: FrameSampling, format: str) -> None:
    path = save(tmp_path / "moves", format, pictures=4)
    assert inspect_content(path).kind == "video"
    with open_video(path, sampling) as video:
        frames = list(video.frames())
    assert [round(frame.time_s, 1) for frame in frames] == [0.0, 0.5, 1.0, 1.5]
    lefts = [frame.image[100, 60].astype(int) for frame in frames]
    assert all(np.abs(left - colour).max() < 20 for left, colour in zip(lefts, COLOURS, strict=True))


def test_a_webp_that_moves_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="animated WebP, which cannot be read; save it as mp4 or GIF"):
        inspect_content(save(tmp_path / "moves.mp4", "WEBP", pictures=4))


def test_an_avif_is_shown_whole(tmp_path: Path) -> None:
    path = save(tmp_path / "photo.jpg", "AVIF")
    assert inspect_content(path).format == "AVIF"
    assert shows_both_halves(read_image(path, max_pixels=None))
    with pytest.raises(SourceError, match=r"is a picture \(AVIF\) and no video"):
        open_video(path, FrameSampling())


@pytest.mark.parametrize(
    ("brands", "name"),
    [
        (b"heic\0\0\0\0mif1heic", "HEIC"),
        (b"heix\0\0\0\0mif1heix", "HEIC"),
        (b"mif1\0\0\0\0mif1heicmiaf", "HEIC"),
        (b"mif1\0\0\0\0mif1", "HEIF"),
    ],
)
def test_a_heic_is_refused_by_its_name_and_never_a_tile(film: Film, tmp_path: Path, brands: bytes, name: str) -> None:
    video = film("film.mp4", frames=1).read_bytes()
    length = int.from_bytes(video[:4], "big")
    path = tmp_path / "IMG_0001.mp4"
    path.write_bytes((8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands + video[length:])
    with pytest.raises(SourceError, match=rf"is a picture \({name}\) and no video"):
        inspect_content(path)
    with pytest.raises(SourceError, match=f"is a {name} picture, which cannot be read; save it as JPEG or PNG"):
        read_image(path.read_bytes(), max_pixels=None)


@pytest.mark.parametrize(("format", "name"), [("TIFF", "TIFF"), ("ICO", "icon")])
def test_other_pictures_are_refused_by_their_names(tmp_path: Path, format: str, name: str) -> None:
    path = save(tmp_path / "picture.png", format)
    with pytest.raises(SourceError, match=rf"is a picture \({name}\) and no video"):
        inspect_content(path)


def test_a_sequence_of_pictures_in_an_iso_file_is_a_video(film: Film, sampling: FrameSampling, tmp_path: Path) -> None:
    video = film("film.mp4", frames=20).read_bytes()
    path = tmp_path / "burst.mp4"
    path.write_bytes(video[:8] + b"msf1" + video[12:])
    assert inspect_content(path).kind == "video"


def test_pictures_in_memory_are_refused_by_name_too() -> None:
    buffer = io.BytesIO()
    halves().save(buffer, "TIFF")
    with pytest.raises(SourceError, match="picture 1 is a TIFF picture"):
        read_image(buffer.getvalue(), max_pixels=None, name="picture 1")


def test_a_video_whose_frames_are_larger_than_4k_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    shoot(tmp_path / "4k.mp4", frames=2, size_wh=(4096, 2304))
    shoot(tmp_path / "more.mp4", frames=2, size_wh=(4112, 2304))
    worker = ImageWorker()
    try:
        assert worker.inspect(tmp_path / "4k.mp4").kind == "video"
        with pytest.raises(SourceError, match="frames of 4112x2304 pixels"):
            worker.inspect(tmp_path / "more.mp4")
    finally:
        worker.close()
