import json
import threading
from pathlib import Path

import av
import pytest

from films import shoot
from vigil.analysis import AnalysisView
from vigil.analysis.analysis import AnalysisPhase
from vigil.analysis.outputs import write_annotated_video, write_browser_copy, write_jsonl, write_srt
from vigil.errors import StoreError
from vigil.events import TierThresholds
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict
from watching import film

ALARM = Verdict(outcome=Outcome.ALARM, p_alarm=0.97, text="two push", start_s=0.0, end_s=2.5)
LOST = Verdict.unknown(Cause.TIMEOUT, start_s=2.0, end_s=4.5)
VIEW = AnalysisView(
    phase=AnalysisPhase.DONE,
    live=False,
    judged=tuple(JudgedWindow(source="a", window=n, verdict=verdict) for n, verdict in enumerate((ALARM, LOST))),
)


def test_the_lines_and_subtitles_hold_every_window(tmp_path: Path) -> None:
    write_jsonl(VIEW, tmp_path / "a.jsonl", tiers=TierThresholds())
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [(line["outcome"], line["cause"], line["tier"]) for line in lines] == [
        ("alarm", None, "high"),
        ("unknown", "timeout", None),
    ]
    write_srt(VIEW, tmp_path / "a.srt")
    assert "unknown: timeout" in (tmp_path / "a.srt").read_text()


def test_a_full_disk_is_told() -> None:
    with pytest.raises(StoreError, match="full cannot be written: No space left"):
        write_jsonl(VIEW, Path("/dev/full"), tiers=TierThresholds())


def test_the_annotated_video_opens(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", seconds=4)
    write_annotated_video(VIEW, source, tmp_path / "out.mp4", tiers=TierThresholds(), title="a")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 32


def test_what_no_browser_plays_becomes_a_small_h264(tmp_path: Path) -> None:
    shoot(tmp_path / "a.avi", codec="mjpeg", pixels="yuvj420p", frames=30, size_wh=(1280, 720))
    write_browser_copy(tmp_path / "a.avi", tmp_path / "out.mp4", stop=threading.Event())
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 854, 480)
        assert sum(1 for _ in container.decode(video=0)) == 30
