from dataclasses import replace
from pathlib import Path

import cv2
import gradio as gr
import numpy as np
import pytest
from app.language import LANGUAGES, translator
from app.web import local_times
from app.web.context import error_toast
from app.web.event_detail import CLOSED, facts_html, marks_html, read_event_media
from app.web.event_search import PAGE, EventQuery, as_html, find_event_page
from app.web.event_store import is_media_path
from app.web.plots import INK
from app.web.probability_figure import figure
from app.web.review import Review

from rooms import EVIL, context_of, event, with_events
from vigil.errors import UsageError
from vigil.events import Mark, Tier, TierThresholds
from vigil.store import Store
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict


def picture(path: Path) -> None:
    cv2.imwrite(str(path), np.full((90, 160, 3), 120, np.uint8))


def test_a_page_holds_the_newest_first_and_one_past_the_end_is_the_last(tmp_path: Path) -> None:
    with with_events(tmp_path, *(event(number) for number in range(PAGE + 3))) as store:
        first, beyond = find_event_page(store, EventQuery(), number=0), find_event_page(store, EventQuery(), number=7)
    assert (first.found, first.pages, len(first.events)) == (PAGE + 3, 2, PAGE)
    assert first.events[0].id == f"e{PAGE + 2:04d}"
    assert beyond.number == 1 and [each.id for each in beyond.events] == ["e0002", "e0001", "e0000"]


def test_an_event_is_found_by_its_mark_its_camera_its_tier_and_words_of_its_note(tmp_path: Path) -> None:
    low = event(2, source="yard", tier=Tier.LOW)
    with with_events(tmp_path, event(1), low) as store:
        store.marks.add("e0001", "false_alarm", who="ann", note="两只猫")

        def found(**asked: str) -> list[str]:
            return [each.id for each in find_event_page(store, EventQuery(**asked), number=0).events]

        assert found(mark="false_alarm") == found(text="两只猫") == found(source="door") == ["e0001"]
        assert found(tier="medium") == ["e0001"] and found(mark="unmarked") == ["e0002"]
        assert found(since="2025-10-01", until="2025-10-31") == ["e0002", "e0001"]
        assert found(since="2h") == found(mark="unsure") == []


def test_an_event_that_is_open_is_looked_at_again_without_taking_back_a_mark_made_meanwhile(tmp_path: Path) -> None:
    with with_events(tmp_path, event(1), event(2)) as store:
        review = Review(context_of(tmp_path), store)
        other = review.show_texts("e0001", "e0002")
        again = review.show_texts("e0001", "e0001")
    assert other[0] == "e0001" and "has no mark yet" in other[3]
    assert again[:5] == [gr.skip()] * 5 and again[5] == other[5]


def test_the_page_knows_whose_clip_and_curve_it_shows(tmp_path: Path) -> None:
    with with_events(tmp_path, event(1)) as store:
        seen = Review(context_of(tmp_path), store).show_media("e0001")
    assert 'data-event="e0001"' in seen[0] and len(seen[-1].data) == 1


def test_a_moment_that_cannot_be_read_says_how_to_write_one() -> None:
    with pytest.raises(UsageError, match="2h"):
        EventQuery(since="yesterday-ish").filter(page=0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_of_models_cameras_and_people_are_never_html(tmp_path: Path, language: str) -> None:
    t = translator(language)  # type: ignore[arg-type]
    evil = replace(event(1, source=EVIL, text=EVIL), task=EVIL, model=EVIL, closed_because=EVIL)
    with with_events(tmp_path, evil) as store:
        mark = store.marks.add("e0001", "true", who=EVIL, note=EVIL)
        rows = as_html(find_event_page(store, EventQuery(), number=0), is_filtered=False, t=t)
    for html in (rows, facts_html(evil, t), marks_html([mark], t)):
        assert "<img src=x" not in html and "&lt;img src=x onerror=alert(1)&gt;" in html


def test_why_an_event_ended_is_told_in_the_language_of_the_page() -> None:
    for because in CLOSED:
        assert because not in facts_html(replace(event(1), closed_because=because), translator("zh"))
    assert "不再告警" in facts_html(event(1), translator("zh"))
    assert "of its own" in facts_html(replace(event(1), closed_because="of its own"), translator("zh"))


def test_an_error_of_the_library_is_told_in_the_language_of_the_page_with_its_own_words_behind() -> None:
    told = error_toast(translator("zh"), "review.not_marked", UsageError("there is no event <b>e1</b>"))
    assert told.title == "操作失败"
    assert told.message == "标记未能保存。 there is no event &lt;b>e1&lt;/b>"


def test_an_empty_list_says_what_to_do_and_a_filtered_one_something_else(tmp_path: Path) -> None:
    with with_events(tmp_path) as store:
        nothing = find_event_page(store, EventQuery(), number=0)
    t = translator("en")
    assert "vigil watch" in as_html(nothing, is_filtered=False, t=t)
    assert "condition" in as_html(nothing, is_filtered=True, t=t)


def test_an_opened_event_has_its_clip_snapshot_frames_and_probability(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    with with_events(tmp_path, event(1)) as store:
        clip = store.media.keep("e0001", "clips", ".mp4", lambda path: path.write_bytes(b"clip") and None)
        snapshot = store.media.keep("e0001", "snapshots", ".jpg", picture)
        store.media.keep_frames("e0001", 1, [b"a"] * 12)
        detail = read_event_media(store, "e0001", context)
        row = as_html(find_event_page(store, EventQuery(), number=0), is_filtered=False, t=context.t)
    assert detail.clip == str(clip.resolve()) and detail.snapshot == str(snapshot.resolve())
    names = [Path(path).name for path, _ in detail.frames]
    assert names == [f"{number}.jpg" for number in range(12)]
    assert "0.97" in detail.frames[0][1]
    assert "data:image/jpeg;base64," in row


def test_only_files_in_the_folders_of_media_are_served(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    with with_events(tmp_path, event(1)) as store:
        snapshot = store.media.keep("e0001", "snapshots", ".jpg", picture)
        outside = tmp_path / "secret.jpg"
        picture(outside)
        assert is_media_path(snapshot, context)
        assert not is_media_path(outside, context) and not is_media_path(tmp_path / "events.db", context)
        snapshot.unlink()
        snapshot.symlink_to(outside)
        assert read_event_media(store, "e0001", context).snapshot is None


def test_an_event_whose_files_are_gone_still_opens(tmp_path: Path) -> None:
    with with_events(tmp_path, event(1)) as store:
        store.media.keep("e0001", "clips", ".mp4", lambda path: path.write_bytes(b"clip") and None).unlink()
        detail = read_event_media(store, "e0001", context_of(tmp_path))
    assert (detail.clip, detail.snapshot, detail.frames) == (None, None, [])


def test_windows_without_a_verdict_are_gaps_in_the_figure() -> None:
    known = Verdict(outcome=Outcome.ALARM, p_alarm=0.9, start_s=10, end_s=12)
    windows = [
        JudgedWindow(source="door", window=0, verdict=known),
        JudgedWindow(source="door", window=1, verdict=Verdict.unknown(Cause.TIMEOUT, start_s=12, end_s=14)),
    ]
    made = figure(event(1), windows, tiers=TierThresholds(), t=translator("en"))
    assert made.data[0].x == (10, 12, 14) and made.data[0].y == (0.9, None, None)
    assert {shape.y0 for shape in made.layout.shapes} >= {0.75, 0.85, 0.92}


def test_an_outage_is_hatched_with_its_cause_and_no_probability_is_drawn_across_it() -> None:
    known = Verdict(outcome=Outcome.ALARM, p_alarm=0.9)
    spans = [(10, 12, known), (12, 14, Verdict.unknown(Cause.UNREACHABLE)), (30, 32, known)]
    windows = [
        JudgedWindow(source="door", window=number, verdict=replace(verdict, start_s=from_s, end_s=to_s))
        for number, (from_s, to_s, verdict) in enumerate(spans)
    ]
    made = figure(event(1), windows, tiers=TierThresholds(), t=translator("zh"))
    curve = dict(zip(made.data[0].x, made.data[0].y, strict=True))
    assert curve == {10: 0.9, 12: None, 14: None, 30: 0.9, 32: 0.9}
    grey = [(shape.x0, shape.x1) for shape in made.layout.shapes if shape.fillcolor == INK]
    assert grey == [(12, 14), (14, 30)]
    words = translator("zh")
    assert {words("room.cause_unreachable"), words("room.no_picture")} <= {a.text for a in made.layout.annotations}


def test_chart_and_frames_of_a_camera_tell_the_time_of_the_list(tmp_path: Path) -> None:
    live, file = event(1), replace(event(1), epoch_s=None)
    for shown, begins in ((live, local_times.within(live, live.onset_s)), (file, "0:10")):
        made = figure(shown, [], tiers=TierThresholds(), t=translator("en"))
        assert made.layout.xaxis.ticktext[0].startswith(begins) and made.data[0].text[0].startswith(begins)
    with with_events(tmp_path, live) as store:
        store.media.keep_frames("e0001", 1, [b"a"])
        caption = read_event_media(store, "e0001", context_of(tmp_path)).frames[0][1]
    assert caption.startswith(local_times.within(live, live.onset_s))


def test_an_event_is_found_by_the_name_of_its_camera(tmp_path: Path) -> None:
    with with_events(tmp_path, event(1, source="rtsp://10.0.0.7/North-Gate"), event(2, source="door")) as store:
        assert [each.id for each in find_event_page(store, EventQuery(text="north-gate"), number=0).events] == ["e0001"]
        assert find_event_page(store, EventQuery(text="gate%"), number=0).found == 0


def test_the_marks_of_an_event_tell_who_when_and_why_the_newest_first() -> None:
    marks = [
        Mark(event_id="e", number=1, mark="true", who="ann", marked_utc="2026-11-20T11:00:00.000Z"),
        Mark(event_id="e", number=2, mark="", who="bob", note="no", marked_utc="2026-11-20T12:00:00.000Z"),
    ]
    html = marks_html(marks, translator("en"))
    assert html.index("bob") < html.index("ann") and "mark removed" in html and "2026-11-20" in html


def test_the_store_of_the_pages_is_the_one_of_the_watch(tmp_path: Path) -> None:
    from app.web.event_store import media_folders, open_store

    context = context_of(tmp_path)
    store = open_store(context)
    assert isinstance(store, Store) and store.folder == tmp_path
    assert [folder.name for folder in media_folders(context)] == ["snapshots", "clips", "frames"]
    store.close()
