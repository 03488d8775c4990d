import csv
from pathlib import Path

import av
import numpy as np
import pytest

from films import shoot
from vigil.dataset.clips import LabelledClip, find_clips
from vigil.dataset.compose import COLUMNS, GAPS_S, compose_video, resample_frames
from vigil.errors import DatasetError
from vigil.questions import load_question


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[LabelledClip, ...]:
    """Five short clips of several sizes and rates."""
    folder = tmp_path_factory.mktemp("clips")
    for label in ("fight", "normal"):
        (folder / label).mkdir(parents=True)
    shoot(folder / "fight" / "a.mp4", frames=60, size_wh=(160, 120))
    shoot(folder / "fight" / "b.avi", frames=30, size_wh=(80, 120), rate=15)
    shoot(folder / "normal" / "a.mp4", frames=100, size_wh=(160, 90))
    shoot(folder / "normal" / "b.mkv", frames=90, size_wh=(192, 108), rate=30)
    shoot(folder / "normal" / "c.ts", frames=50, size_wh=(88, 72))
    return find_clips(folder, load_question("fight")).clips


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_incidents_lie_apart_in_normal_footage_and_are_written_down(
    clips: tuple[LabelledClip, ...], tmp_path: Path
) -> None:
    joined = compose_video(clips, tmp_path / "long.mp4", seconds=60, size_wh=(64, 64), fps=8)
    assert 60 <= joined.length_s < 65 and joined.incidents
    with av.open(str(joined.video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == round(joined.length_s * 8)
    ends = [0.0, *(one.end_s for one in joined.incidents)]
    onsets = [*(one.onset_s for one in joined.incidents), joined.length_s]
    assert all(onset - end >= min(GAPS_S) - 5 for end, onset in zip(ends[:-1], onsets[:-1], strict=True))
    assert onsets[-1] - ends[-1] > 0
    written = rows(joined.truth)
    assert tuple(written[0]) == COLUMNS
    assert [float(r["onset_s"]) for r in written] == pytest.approx([one.onset_s for one in joined.incidents], abs=0.001)
    assert [float(r["end_s"]) for r in written] == pytest.approx([one.end_s for one in joined.incidents], abs=0.001)
    assert all(r["video"] == "long.mp4" and r["label"] == "alarm" and r["clip"].startswith("fight/") for r in written)


def test_an_incident_can_be_made_of_several_clips(clips: tuple[LabelledClip, ...], tmp_path: Path) -> None:
    joined = compose_video(clips, tmp_path / "long.mp4", seconds=40, size_wh=(64, 64), fps=5, incident_s=5)
    assert joined.incidents and all(one.end_s - one.onset_s >= 5 and len(one.clips) >= 3 for one in joined.incidents)
    assert rows(joined.truth)[0]["clip"] == " + ".join(joined.incidents[0].clips)


def test_an_incident_of_several_clips_is_of_one_class_which_the_truth_names(tmp_path: Path) -> None:
    for folder in ("smoke", "fall", "normal"):
        for name in ("a", "b"):
            (tmp_path / "clips" / folder).mkdir(parents=True, exist_ok=True)
            shoot(tmp_path / "clips" / folder / f"{name}.mp4", frames=50, size_wh=(64, 64))
    nine = load_question("anomaly9")
    found = find_clips(tmp_path / "clips", nine).clips
    joined = compose_video(
        found, tmp_path / "long.mp4", seconds=80, size_wh=(64, 64), fps=5, incident_s=5, normal_labels=["正常"]
    )
    of_folder = {"smoke": "烟雾", "fall": "跌倒"}
    for incident in joined.incidents:
        assert len(incident.clips) >= 3
        assert {of_folder[clip.split("/")[0]] for clip in incident.clips} == {incident.label}
    assert [row["label"] for row in rows(joined.truth)] == [incident.label for incident in joined.incidents]


def test_the_same_seed_gives_the_same_video(clips: tuple[LabelledClip, ...], tmp_path: Path) -> None:
    one, again, other = (
        compose_video(clips, tmp_path / name, seconds=25, seed=seed, size_wh=(64, 64), fps=5)
        for name, seed in (("a.mp4", 1), ("b.mp4", 1), ("c.mp4", 2))
    )
    assert one.incidents == again.incidents != other.incidents
    first, second = (_decoded(joined.video) for joined in (one, again))
    assert len(first) == len(second)
    # x264 may encode the same pictures to slightly different bytes, so the pictures are compared.
    assert max(np.abs(a.astype(int) - b.astype(int)).mean() for a, b in zip(first, second, strict=True)) < 2


def _decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def test_clips_that_cannot_be_read_are_left_out_and_named(clips: tuple[LabelledClip, ...], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video at all")
    every = (*clips, LabelledClip(path=broken, name="normal/broken.mp4", label="normal", slug="broken"))
    joined = compose_video(every, tmp_path / "long.mp4", seconds=40, size_wh=(64, 64), fps=5)
    assert list(joined.unreadable) == ["normal/broken.mp4"]


def test_a_class_of_which_nothing_can_be_read_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video at all")
    clips = [LabelledClip(path=broken, name="normal/broken.mp4", label="normal", slug="b")]
    with pytest.raises(DatasetError, match="not one clip of a class can be read"):
        compose_video(clips, tmp_path / "long.mp4", seconds=20)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.mp4"]


def test_a_short_video_without_room_for_an_incident_is_named_in_the_truth(
    clips: tuple[LabelledClip, ...], tmp_path: Path
) -> None:
    joined = compose_video(clips, tmp_path / "short.mp4", seconds=10, size_wh=(64, 64), fps=5)
    assert joined.incidents == ()
    assert rows(joined.truth) == [{"video": "short.mp4", "onset_s": "", "end_s": "", "label": "", "clip": ""}]


def test_progress_grows_to_the_end(clips: tuple[LabelledClip, ...], tmp_path: Path) -> None:
    told: list[tuple[float, float]] = []
    compose_video(
        clips, tmp_path / "long.mp4", seconds=15, size_wh=(64, 64), fps=5, progress=lambda *at: told.append(at)
    )
    assert told == sorted(told) and told[-1][0] >= 15 and {wanted for _, wanted in told} == {15}


def test_rates_are_evened_out_and_shapes_kept(clips: tuple[LabelledClip, ...]) -> None:
    narrow = next(clip for clip in clips if clip.name == "fight/b.avi")
    shown = list(resample_frames(narrow.path, size_wh=(320, 240), fps=30))
    assert len(shown) == 60
    assert all(image.shape == (240, 320, 3) for image in shown)
    assert np.all(shown[5][:, :70] == 0) and np.all(shown[5][:, -70:] == 0) and shown[5][:, 100:220].mean() > 20
