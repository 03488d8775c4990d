from pathlib import Path

import av
import pytest

from films import number_in, picture
from vigil.errors import SourceError
from vigil.sources.video_writer import VideoWriter, whole_file


def test_pictures_keep_their_times_and_odd_sizes_become_even(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", size_wh=(321, 241)) as movie:
        for number, time_s in enumerate([0.0, 0.5, 0.5, 0.4, 2.0]):
            movie.add(picture(number, (321, 241)), time_s)
    with av.open(str(tmp_path / "a.mp4")) as container:
        shown = [(number_in(frame.to_ndarray(format="rgb24")), frame.time) for frame in container.decode(video=0)]
        size = container.streams.video[0].codec_context.width, container.streams.video[0].codec_context.height
    assert size == (320, 240) and shown == [(0, 0.0), (1, 0.5), (4, 2.0)]


def test_a_movie_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "a.mp4", size_wh=(64, 64)) as movie:
        movie.add(picture(1, (64, 64)), 0.0)
        raise KeyboardInterrupt
    with pytest.raises(SourceError, match="no picture in it"), VideoWriter(tmp_path / "b.mp4", size_wh=(64, 64)):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(SourceError, match=r"a\.txt cannot be written"), whole_file(path) as partial:
        partial.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]
