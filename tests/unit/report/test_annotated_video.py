import threading
from pathlib import Path

import av
import numpy as np
import pytest

from films import number_in, picture, shoot
from vigil.errors import SourceError
from vigil.events import Event, Tier, TierThresholds
from vigil.frames import RGB
from vigil.report import drawing
from vigil.report.annotated_video import LiveAnnotatedVideo, annotate_video
from vigil.report.overlay import Overlay, layout_for
from vigil.report.timeline import SourceTimeline, draw_timeline_strip, format_seconds
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict

TIERS = TierThresholds()


def judged(window: int, p_alarm: float | None, *, text: str | None = None) -> JudgedWindow:
    start_s = window * 2.0
    if p_alarm is None:
        verdict = Verdict.unknown(Cause.TIMEOUT, start_s=start_s, end_s=start_s + 2.5)
    else:
        outcome = Outcome.ALARM if p_alarm >= 0.5 else Outcome.NORMAL
        verdict = Verdict(outcome=outcome, p_alarm=p_alarm, start_s=start_s, end_s=start_s + 2.5, text=text)
    return JudgedWindow(source="yard", window=window, verdict=verdict)


def event(onset_s: float, end_s: float | None, *, tier: Tier = Tier.HIGH, text: str = "") -> Event:
    return Event(
        id=f"{onset_s}", source="yard", onset_s=onset_s, end_s=end_s, peak=0.97, peak_s=onset_s, tier=tier,
        windows=(), text=text,
    )  # fmt: skip


def pictures(film: Path) -> list[tuple[RGB, float]]:
    with av.open(str(film)) as container:
        return [(frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(video=0)]


def near(pixel: object, colour: drawing.Color, *, by: int = 30) -> bool:
    return bool(np.abs(np.asarray(pixel, dtype=int) - colour).max() < by)


def test_a_film_of_a_file_has_every_picture_and_the_border_of_an_event(tmp_path: Path) -> None:
    source = tmp_path / "yard.mp4"
    shoot(source, frames=150, size_wh=(640, 360))
    annotate_video(source, [judged(0, 0.1), judged(1, 0.95), judged(2, None)], [event(2.0, 4.0)], tmp_path / "film.mp4")
    shown = pictures(tmp_path / "film.mp4")
    assert len(shown) == 150 and shown[-1][1] == pytest.approx(149 / 25, abs=0.01)
    layout = layout_for((640, 360))
    assert shown[0][0].shape == (layout.size_wh[1], 640, 3)
    assert number_in(shown[75][0][:360]) == 75
    corner = {second: shown[round(second * 25)][0][1, 1] for second in (1.0, 3.0, 5.0)}
    assert near(corner[3.0], drawing.TIER_COLOURS[Tier.HIGH])
    assert not near(corner[1.0], drawing.TIER_COLOURS[Tier.HIGH])
    assert not near(corner[5.0], drawing.TIER_COLOURS[Tier.HIGH])


@pytest.mark.parametrize("size_wh", [(64, 48), (360, 640), (1280, 720), (3840, 2160), (2000, 100)])
def test_every_shape_of_picture_gets_an_even_readable_film(size_wh: tuple[int, int]) -> None:
    layout = layout_for(size_wh)
    overlay = Overlay(
        SourceTimeline([judged(0, 0.99, text="words " * 50)], [event(0.0, None)]), layout, tiers=TIERS, title="t" * 300
    )
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    drawn = overlay.draw(image, 1.0)
    assert drawn.shape[:2] == layout.size_wh[::-1]
    assert layout.size_wh[0] % 2 == layout.size_wh[1] % 2 == 0
    assert max(layout.picture_wh) <= 1920 and layout.font_px >= 12


def test_the_strip_shows_probability_unknowns_and_events() -> None:
    course = SourceTimeline([judged(0, 0.1), judged(1, 0.95), judged(2, None)], [event(2.0, 4.0, tier=Tier.MEDIUM)])
    strip = draw_timeline_strip(course, from_s=0.0, to_s=10.0, size_wh=(500, 80), font_px=14, tiers=TIERS)
    low, high, unknown, nothing = (strip[12:60, x] for x in (50, 150, 225, 450))
    coloured = [
        int((np.abs(part.astype(int) - drawing.PLOT).max(axis=1) > 12).sum()) for part in (low, high, unknown, nothing)
    ]
    assert coloured[1] > 3 * coloured[0] > 0 and coloured[2] >= 40 and coloured[3] <= 4
    assert near(strip[6, 150], drawing.TIER_COLOURS[Tier.MEDIUM]) and not near(
        strip[6, 300], drawing.TIER_COLOURS[Tier.MEDIUM]
    )


def test_a_second_that_several_windows_cover_shows_the_nearest_one() -> None:
    course = SourceTimeline([judged(1, 0.9), judged(0, 0.1)])
    assert [v.window for v in (course.verdict_at(t) for t in (0.5, 2.2, 2.3, 4.4)) if v] == [0, 0, 1, 1]
    assert course.verdict_at(9.0) is None


def test_a_long_watch_forgets_what_is_long_over() -> None:
    course = SourceTimeline([judged(n, 0.5) for n in range(100)], [event(2.0, 4.0), event(150.0, None)])
    course.drop_before(100.0)
    assert len(course.judged) == 51 and [e.onset_s for e in course.events] == [150.0]


def test_text_from_outside_is_made_harmless() -> None:
    assert drawing.sanitize_text("a\x00b\n\u202ec\u0301 d\u0336") == "ab ć d"
    assert len(drawing.sanitize_text("x" * 100_000)) == drawing.LONGEST
    assert drawing.choose_typeface("") is None
    assert drawing.choose_typeface("\u0e44\u0e17\u0e22") is None


def test_a_strip_writes_clock_times_and_the_cause_in_the_words_of_its_page() -> None:
    lost = JudgedWindow(source="door", window=1, verdict=Verdict.unknown(Cause.TIMEOUT, start_s=0.0, end_s=60.0))
    drawn = {"from_s": 0.0, "to_s": 60.0, "size_wh": (480, 76), "font_px": 14, "tiers": TIERS}
    plain, clocked, other_day, chinese = (
        draw_timeline_strip(SourceTimeline([lost]), **drawn, **more)  # type: ignore[arg-type]
        for more in ({}, {"epoch_s": 1_760_000_000.0}, {"epoch_s": 1_760_086_400.0}, {"cause_name": lambda _: "太慢"})
    )
    axis, plot = slice(60, None), slice(0, 60)
    assert (plain[axis] != clocked[axis]).any() and (clocked[axis] == other_day[axis]).all()
    assert (plain[plot] == clocked[plot]).all() and (plain[plot] != chinese[plot]).any()


def test_words_that_no_font_can_show_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "CHINESE_FONTS", ())
    assert drawing.choose_typeface("两人打架") is None
    assert drawing.choose_typeface("two men") is not None


def test_lines_break_at_spaces_and_end_in_an_ellipsis() -> None:
    font = drawing.latin_typeface().at(16)
    lines = drawing.wrap("the quick brown fox jumps over the lazy dog again", font, width_px=150, lines=2)
    assert lines[0] == "the quick brown" and lines[1].endswith("…")
    assert all(font.getlength(line) <= 150 for line in lines)


def test_seconds_are_told_as_people_read_them() -> None:
    assert [format_seconds(5), format_seconds(65.27, tenths=True), format_seconds(3723)] == [
        "0:05",
        "1:05.2",
        "1:02:03",
    ]


def test_live_frames_wait_for_their_verdict(tmp_path: Path) -> None:
    film = LiveAnnotatedVideo(tmp_path / "live.mp4", title="yard")
    for number in range(6):
        film.frame(picture(number, (448, 256)), 100 + number * 0.5)
    assert not list(tmp_path.iterdir())
    film.judged(
        JudgedWindow(
            source="yard", window=0, verdict=Verdict(outcome=Outcome.ALARM, p_alarm=0.95, start_s=100.0, end_s=102.5)
        )
    )
    film.changed(event(100.0, None))
    film.frame(picture(6, (448, 256)), 103.0)
    assert len(film._pending) == 1
    film.close()
    shown = pictures(tmp_path / "live.mp4")
    assert [time_s for _, time_s in shown] == pytest.approx([n * 0.5 for n in range(7)], abs=0.001)
    assert all(near(image[1, 1], drawing.TIER_COLOURS[Tier.HIGH]) for image, _ in shown)


def test_live_frames_do_not_wait_for_ever(tmp_path: Path) -> None:
    film = LiveAnnotatedVideo(tmp_path / "live.mp4", hold_s=5.0, max_pending=4)
    for number in range(12):
        film.frame(picture(number, (448, 256)), number * 0.5)
    assert len(film._pending) <= 4
    film.close()
    assert len(pictures(tmp_path / "live.mp4")) == 12


def test_a_live_film_that_cannot_be_written_is_told_once_and_the_watch_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    film = LiveAnnotatedVideo(tmp_path / "file" / "live.mp4", hold_s=0.0)
    for number in range(5):
        film.frame(picture(number, (448, 256)), number * 0.5)
    film.close()
    assert "cannot be written" in film.problem and len(caplog.records) == 1


def test_a_film_without_frames_leaves_no_file(tmp_path: Path) -> None:
    LiveAnnotatedVideo(tmp_path / "live.mp4").close()
    assert not list(tmp_path.iterdir())


def test_a_film_that_is_stopped_is_whole_up_to_there(tmp_path: Path) -> None:
    source = tmp_path / "yard.mp4"
    shoot(source, frames=100)
    stop = threading.Event()

    def progress(second: float, length: float | None) -> None:
        assert length == pytest.approx(4.0)
        if second >= 1.0:
            stop.set()

    annotate_video(source, [], [], tmp_path / "film.mp4", progress=progress, stop=stop)
    assert len(pictures(tmp_path / "film.mp4")) == 26


def test_a_film_that_is_interrupted_is_whole_too(tmp_path: Path) -> None:
    source = tmp_path / "yard.mp4"
    shoot(source, frames=100)

    def progress(second: float, length: float | None) -> None:
        if second >= 1.0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate_video(source, [], [], tmp_path / "film.mp4", progress=progress)
    assert len(pictures(tmp_path / "film.mp4")) == 26


def test_a_file_that_is_no_video_gives_no_film(tmp_path: Path) -> None:
    source = tmp_path / "notes.mp4"
    source.write_text("nothing to see")
    with pytest.raises(SourceError, match="cannot be read as a video"):
        annotate_video(source, [], [], tmp_path / "film.mp4")
    assert not (tmp_path / "film.mp4").exists()
