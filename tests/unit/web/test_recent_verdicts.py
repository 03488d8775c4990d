import base64

import cv2
import numpy as np
from app.web.event_pictures import png_url
from app.web.recent_verdicts import NEWEST, RecentVerdicts

from vigil.events import ChangeKind, Event, EventChange, Tier, TierThresholds
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict


def event(number: int, *, source: str = "door") -> Event:
    return Event(id=f"e{number:03d}", source=source, onset_s=1.0, peak=0.95, peak_s=2.0, tier=Tier.HIGH, windows=())


def judged(start_s: float, p_alarm: float | None = 0.1, *, source: str = "door") -> JudgedWindow:
    if p_alarm is None:
        verdict = Verdict.unknown(Cause.DROPPED, start_s=start_s, end_s=start_s + 2.5)
    else:
        verdict = Verdict(outcome=Outcome.NORMAL, p_alarm=p_alarm, start_s=start_s, end_s=start_s + 2.5)
    return JudgedWindow(source=source, window=int(start_s), verdict=verdict)


def told(board: RecentVerdicts, kind: ChangeKind, number: int) -> None:
    board.on_change(EventChange(kind, event(number)))


def test_the_newest_events_come_first_and_older_ones_give_way() -> None:
    board = RecentVerdicts(TierThresholds(), earlier=[event(0), event(1)])
    for number in range(2, NEWEST + 3):
        told(board, "opened", number)
    newest = [each.id for each in board.newest()]
    assert len(newest) == NEWEST and newest[0] == f"e{NEWEST + 2:03d}" and newest == sorted(newest, reverse=True)


def test_every_change_makes_a_new_version_and_only_events_a_new_list() -> None:
    board = RecentVerdicts(TierThresholds())
    board.on_verdict(judged(0.0))
    assert (board.version, board.events_version) == (1, 0)
    told(board, "opened", 1)
    assert (board.version, board.events_version) == (2, 1)


def test_a_camera_without_verdicts_has_no_strip_and_one_with_them_has() -> None:
    board = RecentVerdicts(TierThresholds())
    assert board.strip_of("door") is None and board.last_verdict_s("door") == 0.0
    for second in range(0, 20, 2):
        board.on_verdict(judged(float(second), None if second == 4 else 0.9))
    strip = board.strip_of("door")
    assert strip is not None and strip.dtype == np.uint8 and strip.ndim == 3
    assert board.last_verdict_s("door") == 20.5


def test_a_camera_whose_seconds_begin_anew_has_a_new_strip() -> None:
    board = RecentVerdicts(TierThresholds())
    board.on_verdict(judged(500.0))
    board.on_verdict(judged(0.0))
    assert board.last_verdict_s("door") == 2.5


def test_a_strip_goes_into_the_page_as_it_is() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    image[:, :, 0] = 200
    url = png_url(image)
    data = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    assert url.startswith("data:image/png;base64,")
    assert np.array_equal(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], image)
