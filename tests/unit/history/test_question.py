"""A question as it is understood: its cameras, its time, its words."""

from datetime import datetime

import pytest

from vigil.errors import UsageError
from vigil.history import HistoryQuestion, read_question
from vigil.store import CameraRecord

MONDAY = datetime(2026, 11, 30, 9, 15)
CAMERAS = [
    CameraRecord(id="cam_00000001", name="后门", place="一楼"),
    CameraRecord(id="cam_00000002", name="back door", place="yard"),
    CameraRecord(id="cam_00000003", name="门"),
    CameraRecord(id="cam_00000004", name="a"),
]


def read(text: str, **given: str) -> HistoryQuestion:
    return read_question(text, CAMERAS, now=MONDAY, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "cameras", "words"),
    [
        ("昨晚十点后门有人打架吗", ["后门"], "打架"),
        ("昨天有没有人在一楼搬梯子", ["后门"], "搬梯子"),
        ("Did anyone carry a LADDER at the Back  Door last night?", ["back door", "a"], "carry ladder"),
        ("what happened in the yard yesterday", ["back door"], ""),
        ("cam_00000003 昨天发生了什么", ["门"], ""),
        ("谁拿走了箱子?", [], "拿走 箱子"),
        ("ｗｈｉｔｅ van", [], "white van"),
    ],
)
def test_cameras_and_words_are_understood(text: str, cameras: list[str], words: str) -> None:
    found = read(text)
    assert [camera.name for camera in found.cameras] == cameras and found.words == words
    assert found.span.camera_ids == tuple(camera.id for camera in found.cameras)


def test_a_name_that_begins_with_the_word_for_after_leaves_both_readings_of_the_time() -> None:
    assert read("昨晚十点后门有人吗").span.since_utc < read("昨晚十点后有人吗").span.since_utc  # type: ignore[operator]
    assert read("昨晚十点后门有人吗").span.until_utc == read("昨晚十点后有人吗").span.until_utc


def test_what_is_given_beside_the_question_counts_instead() -> None:
    found = read("昨晚后门打架", since_utc="2026-01-01T00:00:00.000Z", camera="back door")
    assert (found.span.since_utc, found.span.until_utc) == ("2026-01-01T00:00:00.000Z", None)
    assert found.span.camera_ids == ("cam_00000002",) and found.words == "打架"
    assert read("打架", place="一楼").span.camera_ids == ("cam_00000001",)
    assert read("打架").said_time is False


@pytest.mark.parametrize(
    ("text", "given", "told"),
    [
        ("  \n", {}, "empty"),
        ("x" * 100_000, {}, "100000 characters"),
        ("打架", {"camera": "nosuch"}, "no camera 'nosuch'"),
        ("打架", {"camera": "后门", "place": "yard"}, "no camera"),
        ("打架", {"since_utc": "2026-02", "until_utc": "2026-01"}, "wrong way"),
    ],
)
def test_what_cannot_be_asked_is_refused(text: str, given: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read(text, **given)


def test_broken_characters_are_replaced() -> None:
    assert read("\ud83d 打架\x00").words == "打架"
