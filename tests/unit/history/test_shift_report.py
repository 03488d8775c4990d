"""The report of a day or a shift: what counts, what nobody saw, when nobody watched, and its Markdown."""

import asyncio
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from incidents import make_event
from observing import make_observation
from scripted_server import ScriptedServer, error, stream
from vigil.errors import UsageError
from vigil.events import Tier
from vigil.history.report_markdown import report_markdown
from vigil.history.report_summary import summarise
from vigil.history.shift_report import ShiftReport, last_span, shift_report, shift_span
from vigil.judge import Endpoint
from vigil.store import CameraRecord, Store
from vigil.store.times import format_utc
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict

DAY = date(2026, 11, 20)
NIGHT = shift_span(day=DAY, shift="22:00-06:00")
BEGIN_S = NIGHT.since.timestamp()
HOUR_S = 3600.0
EVIL = "<script>alert(1)</script> | [x](http://evil) `rm`"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A night with three events, of which one was marked and one acknowledged, an outage and a missed incident."""
    with Store.open(tmp_path / "events.db") as opened:
        door = opened.cameras.register(CameraRecord(id="", name="后门", identity="i", kind="stream", place="一楼"))
        opened.cameras.register(CameraRecord(id="", name="never watched", identity="j", kind="stream"))
        opened.sessions.start(source="后门", epoch_s=BEGIN_S, camera=door)
        opened.verdicts.add([_judged(door, second) for second in range(0, 8 * 3600, 60) if not 7200 <= second < 9000])
        for number, tier in enumerate([Tier.HIGH, Tier.LOW, Tier.HIGH]):
            opened.events.save(
                make_event(id=f"e{number}", source="后门", camera_id=door.id, tier=tier, epoch_s=BEGIN_S,
                           onset_s=number * HOUR_S, end_s=number * HOUR_S + 5, text=f"{EVIL} {number}", rule="fight")
            )  # fmt: skip
        opened.events.save(
            make_event(id="late", camera_id=door.id, epoch_s=BEGIN_S, onset_s=9 * HOUR_S, end_s=9 * HOUR_S + 1)
        )
        opened.events.save(make_event(id="early", camera_id=door.id, epoch_s=BEGIN_S, onset_s=-20.0, end_s=5.0))
        opened.marks.add("e0", "true", who="lena")
        opened.acknowledgements.add("e1", who="lena")
        opened.observations.add([make_observation(0, happened_utc=format_utc(BEGIN_S + 60), camera_id=door.id)])
        opened.missed_spans.add(
            door.id, from_utc=format_utc(BEGIN_S + 100), to_utc=format_utc(BEGIN_S + 130), who="omar", note="two boys"
        )
        yield opened


def _judged(camera: CameraRecord, second: int) -> JudgedWindow:
    """A window a minute; from the third hour on for a quarter of an hour the model does not answer."""
    if 3 * 3600 <= second < 3 * 3600 + 900:
        verdict = Verdict.unknown(Cause.UNREACHABLE, start_s=float(second), end_s=second + 2.5, detail="gone")
    else:
        verdict = Verdict(outcome=Outcome.NORMAL, p_alarm=0.1, start_s=float(second), end_s=second + 2.5)
    return JudgedWindow(source=camera.name, camera_id=camera.id, window=second, verdict=verdict)


@pytest.fixture
def report(store: Store) -> ShiftReport:
    return shift_report(store, NIGHT)


def test_events_count_for_the_shift_in_which_they_begin(report: ShiftReport, store: Store) -> None:
    assert [event.id for event in report.events] == ["e0", "e1", "e2"] and report.observations == 1
    assert report.rules == {"fight": 3} and report.hours == {22: 1, 23: 1, 0: 1}
    assert report.marks == {"true": 1, "unmarked": 2}
    assert [event.id for event in report.unseen] == ["e2"] and [span.note for span in report.missed] == ["two boys"]
    day = shift_report(store, shift_span(day=DAY))
    assert [event.id for event in day.events] == ["early", "e0", "e1"]


def test_the_time_in_which_nobody_watched_or_judged_is_told(report: ShiftReport) -> None:
    [camera] = report.cameras
    assert camera.camera.name == "后门" and camera.tiers == {"high": 2, "low": 1}
    assert [(f"{begin:%H:%M}", f"{end:%H:%M}") for begin, end in camera.outages] == [
        ("00:00", "00:30"),
        ("01:00", "01:15"),
    ]
    assert camera.judged_s == 7.25 * HOUR_S and camera.unknown_windows == 15


def test_the_markdown_holds_it_all_and_nothing_that_acts(report: ShiftReport) -> None:
    text = report_markdown(report)
    assert text.startswith("# Report: 2026-11-20 22:00 – 2026-11-21 06:00\n")
    assert (
        "Events: 3. Observations: 1. Missed incidents: 1." in text
        and "| 后门 | 一楼 | 2 | 0 | 1 | 7.2 h | 15 / 450 |" in text
    )
    assert "## Nobody looked at" in text and "| e2 |" in text and "| e0 |" not in text
    assert "11-21 00:00 – 11-21 00:30" in text
    assert "<script>" not in text and " [x]" not in text and "\\<script\\>" in text
    assert "值守报告" in report_markdown(report, language="zh") and "无人查看" in report_markdown(report, language="zh")


def test_an_empty_day_says_so(store: Store) -> None:
    text = report_markdown(shift_report(store, shift_span(day=date(2020, 1, 1))))
    assert "Nothing was recorded." in text and "Somebody has looked at every event." in text


def test_a_summary_cites_the_records_of_its_time(store: Store, report: ShiftReport) -> None:
    with ScriptedServer(models=["tiny"]) as server:
        server.queue(stream("A fight at ten [E3]. ", "A ghost [E9]."))
        summary = asyncio.run(summarise(store, report, Endpoint(url=server.url)))
        text = report_markdown(report, summary=summary)
        server.default = error(500, "out of memory")
        without = asyncio.run(summarise(store, report, Endpoint(url=server.url)))
    assert "A fight at ten. (E3)" in text and "A ghost. (rests on no record)" in text and "Worded by tiny" in text
    assert "## Summary" not in report_markdown(report, summary=without) and "out of memory" in without.trouble


@pytest.mark.parametrize("shift", ["", "22-06", "25:00-06:00", "22:61-23:00", "22:00-22:00", "24:30-01:00", "x" * 9999])
def test_what_is_no_shift_is_refused(shift: str) -> None:
    if not shift:
        assert shift_span(day=DAY).until == datetime(2026, 11, 21)
        return
    with pytest.raises(UsageError, match="shift"):
        shift_span(day=DAY, shift=shift)


def test_the_last_shift_is_the_last_one_that_is_over() -> None:
    now = datetime(2026, 11, 21, 5, 59)
    assert last_span(now, shift="22:00-06:00").since == datetime(2026, 11, 19, 22)
    assert last_span(datetime(2026, 11, 21, 6), shift="22:00-06:00").since == datetime(2026, 11, 20, 22)
    assert last_span(now).since == datetime(2026, 11, 20)
