import re
from pathlib import Path

import pytest

from full_disk import full_disk
from incidents import make_event, make_judged
from vigil.errors import StoreError
from vigil.report.subtitles import SrtWriter, format_srt
from vigil.verdict import JudgedWindow
from vigil.watch.file_outputs import SubtitleFile

TIMES = re.compile(r"(\d+):(\d+):(\d+),(\d+) --> (\d+):(\d+):(\d+),(\d+)")


def spans_s(text: str) -> list[tuple[float, float]]:
    spans = []
    for match in TIMES.finditer(text):
        n = [int(part) for part in match.groups()]
        spans.append((n[0] * 3600 + n[1] * 60 + n[2] + n[3] / 1000, n[4] * 3600 + n[5] * 60 + n[6] + n[7] / 1000))
    return spans


def windows() -> list[JudgedWindow]:
    return [make_judged(0, 0.1), make_judged(1, 0.93), make_judged(2, None), make_judged(40, 0.8)]


def test_each_window_is_shown_until_the_next_one_starts_but_not_over_a_gap() -> None:
    event = make_event(onset_s=2.0, end_s=6.5, text="two <b>fight</b> --> \n\n and \ud83d fall")
    text = format_srt(windows(), [event])
    assert spans_s(text) == [(0.0, 2.0), (2.0, 4.0), (4.0, 7.5), (80.0, 82.5)]
    blocks = text.strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == ["1", "2", "3", "4"]
    assert blocks[1].split("\n")[2:] == [
        "ALARM 0.93 █████████░",
        "▮▮▯ medium event since 00:00:02: two ‹b›fight‹/b› --› and ? fall",
    ]
    assert "unknown: timeout" in blocks[2] and "event" not in blocks[0] + blocks[3]
    assert format_srt([], []) == ""


def test_the_file_is_whole_after_every_window_and_ends_as_the_text(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "watch.srt"
    event = make_event(onset_s=2.0, end_s=6.5)
    with SrtWriter(path) as writer:
        for count, judged in enumerate(windows(), start=1):
            writer.add(judged, event if judged.window in {1, 2} else None)
            assert len(spans_s(path.read_text())) == count and path.read_text().endswith("\n\n")
    assert path.read_text() == format_srt(windows(), [event])


def test_a_window_that_starts_where_the_last_one_did_takes_its_place(tmp_path: Path) -> None:
    with SrtWriter(tmp_path / "watch.srt") as writer:
        for p in (0.1, 0.2, None):
            writer.add(make_judged(0, p))
        writer.add(make_judged(1, 0.9))
    expected = format_srt([make_judged(0, None), make_judged(1, 0.9)], [])
    assert (
        (tmp_path / "watch.srt").read_text()
        == expected
        == format_srt([make_judged(0, 0.1), *[make_judged(0, None), make_judged(1, 0.9)]], [])
    )


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        SrtWriter(tmp_path)


def test_a_full_disk_costs_cues_and_the_file_stays_whole(tmp_path: Path) -> None:
    judged = [make_judged(number, 0.1) for number in range(26)]
    subtitles = SubtitleFile(tmp_path / "watch.srt")
    for each in judged[:8]:
        subtitles.on_result(each)
    before = (tmp_path / "watch.srt").read_bytes()
    with full_disk(len(before) + 30):
        for each in judged[8:20]:
            subtitles.on_result(each)
        assert (tmp_path / "watch.srt").read_bytes() == before
    for each in judged[20:]:
        subtitles.on_result(each)
    subtitles.on_close()
    assert subtitles.lost == 12
    assert (tmp_path / "watch.srt").read_text() == format_srt([*judged[:8], *judged[20:]], [])


def test_long_days_are_told_in_hours() -> None:
    assert "27:46:40,000 --> 27:46:42,500" in format_srt([make_judged(50_000)], [])
