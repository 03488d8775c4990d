"""What a build keeps of a clip beside its windows."""

from pathlib import Path

import pytest

from films import shoot
from vigil.dataset.clips import LabelledClip
from vigil.dataset.extract import ExtractSettings, extract_clip
from vigil.dataset.frame_files import StoredClip
from vigil.frames import FrameSampling


def cut_film(tmp_path: Path, name: str, **how: object) -> StoredClip:
    """What is stored of a film that is made as `films.shoot` says."""
    path = tmp_path / "clips" / name
    path.parent.mkdir(exist_ok=True)
    shoot(path, **how)  # type: ignore[arg-type]
    clip = LabelledClip(path=path, name=f"fight/{name}", label="alarm", slug=path.stem)
    stored, fresh = extract_clip(clip, tmp_path / "data", ExtractSettings(sampling=FrameSampling(max_pixels=12_288)))
    assert fresh
    return stored


def test_a_raw_clip_whose_rate_is_told_is_a_healthy_one(tmp_path: Path) -> None:
    stored = cut_film(tmp_path, "raw.h264", format="h264", rate=10, frames=40)
    assert stored.problems == stored.notes == ()
    assert stored.format == "320x240@10.00"
    assert round(stored.windows[-1].end_s, 3) == 3.5


def test_a_guessed_rate_is_a_note_and_no_damage(tmp_path: Path) -> None:
    stored = cut_film(tmp_path, "raw.mjpeg", format="mjpeg", codec="mjpeg", pixels="yuvj420p", frames=50)
    assert stored.problems == ()
    assert any("is a guess" in note for note in stored.notes)


@pytest.mark.parametrize(
    ("name", "options", "traits"),
    [
        ("plain.mp4", {}, ()),
        ("fields.mp4", {"x264-params": "tff=1"}, ("interlaced",)),
        ("phone.mp4", {"x264-params": "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"}, ("HDR",)),
    ],
)
def test_what_is_put_right_in_every_picture_is_kept_for_the_check(
    tmp_path: Path, name: str, options: dict[str, str], traits: tuple[str, ...]
) -> None:
    assert cut_film(tmp_path, name, frames=50, options=options).traits == traits
