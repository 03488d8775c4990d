from pathlib import Path
from typing import Any

import pytest
from app.language import LANGUAGES, translator
from app.web.chat_session import MOST_WINDOWS, ChatSession
from app.web.window_messages import sum_html, window_html

from rooms import EVIL, event

T = translator("en")


def row(number: int, kind: str = "normal", **more: Any) -> dict[str, Any]:
    known = {"n": number, "s": 2.0 * number, "e": 2.0 * number + 2.5, "time": f"0:{2 * number:02d}.0 – …", "kind": kind}
    return known | {"label": kind, "p": 0.02, "colour": "rgb(1, 2, 3)", "words": "", "waits": False, "why": ""} | more


def texts(visit: ChatSession) -> list[str]:
    return [message["content"][0]["text"] for message in visit.shown]


def visit_of(tmp_path: Path) -> ChatSession:
    visit = ChatSession(tmp_path)
    visit.show_analysis("Is there a fight?", "yard.mp4")
    return visit


def test_a_window_tells_its_verdict_with_the_probability_before_its_words() -> None:
    told = window_html(row(4, "alarm", label="Alarm (high)", p=0.975, words="two push"), "r1", T)
    assert told.index("0:08.0") < told.index("Alarm (high)") < told.index("0.97") < told.index("two push")
    assert "from-8000 to-10500" in told and "is-alarm" in told


def test_nothing_that_a_model_says_is_html() -> None:
    for told in (window_html(row(0, words=EVIL, label=EVIL, why=EVIL), "r", T), ended([event(1, text=EVIL)])):
        assert "<img" not in told


def ended(events: list[Any], **more: Any) -> str:
    state = {"phase": "done", "facts": "windows 3", "detail": "", "rows": [row(0)]} | more
    return sum_html(state, "r", events, T, for_verdict=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sum_tells_events_or_that_there_are_none(language: Any) -> None:
    assert T("chat.no_alarm") in ended([])
    assert "from-10000 to-14000" in ended([event(1)])
    assert "vc-results" not in ended([], rows=[], detail="the camera is away")
    assert translator(language)("chat.results")


def test_windows_are_added_changed_in_place_and_taken_away_when_they_are_judged_anew(tmp_path: Path) -> None:
    visit = visit_of(tmp_path)
    visit.show_windows([row(0), row(1, "alarm", waits=True), row(2)], T)
    visit.show_windows([row(0), row(1, "alarm", words="two push"), row(2)], T)
    assert len(visit.shown) == 5 and "two push" in texts(visit)[3]
    visit.show_windows([row(0), row(3)], T)  # Live went back to the second window
    assert len(visit.shown) == 4 and " n-3 " in texts(visit)[-1]


def test_an_answer_stays_in_its_place_while_windows_come(tmp_path: Path) -> None:
    visit = visit_of(tmp_path)
    visit.question_messages = []
    visit.show_question("Who is there?", None, None, T)
    visit.show_windows([row(0)], T)
    visit.show_answer("A dog.")
    assert [text for text in texts(visit) if "vc-window" not in text][2:] == ["Who is there?", "A dog."]
    visit.take_back()
    assert len(visit.shown) == 3 and "vc-window" in texts(visit)[-1]


def test_of_a_long_analysis_the_newest_windows_and_all_alarms_stay(tmp_path: Path) -> None:
    visit = visit_of(tmp_path)
    rows = [row(number, "alarm" if number == 3 else "normal") for number in range(MOST_WINDOWS + 50)]
    visit.show_windows(rows, T)
    visit.show_windows(rows[40:], T)  # what the stage holds of a camera
    shown = [text for text in texts(visit) if "vc-window" in text]
    assert len(shown) == MOST_WINDOWS
    assert " n-3 " in shown[0] and f" n-{MOST_WINDOWS + 49} " in shown[-1]


def test_even_of_alarms_alone_no_more_are_held_than_a_page_can_show(tmp_path: Path) -> None:
    visit = visit_of(tmp_path)
    visit.show_windows([row(number, "alarm") for number in range(MOST_WINDOWS + 5)], T)
    shown = [text for text in texts(visit) if "vc-window" in text]
    assert len(shown) == MOST_WINDOWS and " n-5 " in shown[0]
