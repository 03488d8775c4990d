"""When a camera is observed: by time, sooner when its picture changes, seldom when it is still, within a budget."""

from itertools import pairwise

import numpy as np
import pytest

from vigil.frames import Frame, FrameSampling
from vigil.watch.observation_pace import ObservationPace, TokenBudget
from vigil.watch.observe_settings import ObserveSettings
from vigil.windows import Window, iter_windows

SETTINGS = ObserveSettings(every_s=10.0, changed_s=3.0, still_s=60.0, change_from=8.0)
SAMPLING = FrameSampling(max_pixels=12_288)


def observed(greys: list[int], settings: ObserveSettings = SETTINGS) -> list[float]:
    """The ends of the windows that are observed of a film with one grey value a second, two frames each."""
    frames = [
        Frame(np.full((96, 128, 3), grey, np.uint8), second + half)
        for second, grey in enumerate(greys)
        for half in (0.0, 0.5)
    ]
    pace, ends = ObservationPace(settings), []
    for window in iter_windows(frames, SAMPLING):
        if pace.is_due(window):
            pace.note(window)
            ends.append(window.end_s)
    return ends


def test_a_still_picture_is_observed_seldom() -> None:
    assert observed([100] * 140) == [2.5, 62.5, 122.5]


def test_a_picture_that_changes_a_little_is_observed_at_the_usual_pace() -> None:
    # Three grey levels a step: above the quarter of 8 that is still, below the 8 that are a change.
    assert observed([100 + 3 * (second // 10 % 2) for second in range(60)]) == pytest.approx(
        [2.5, 12.5, 22.5, 32.5, 42.5, 52.5], abs=2.0
    )


def test_a_picture_that_changes_is_observed_sooner_but_not_at_once() -> None:
    ends = observed([100] * 20 + [200] * 10 + [100] * 10)
    assert ends == [2.5, 20.5, 30.5]
    restless = observed([100 if second % 2 else 200 for second in range(20)])
    assert all(later - earlier >= 3.0 for earlier, later in pairwise(restless))


def test_a_source_whose_seconds_begin_anew_is_observed_at_once() -> None:
    pace = ObservationPace(SETTINGS)
    frames = [Frame(np.zeros((96, 128, 3), np.uint8), second / 2) for second in range(80)]
    windows: list[Window] = list(iter_windows(frames, SAMPLING))
    pace.note(windows[-1])
    assert not pace.is_due(windows[-1]) and pace.is_due(windows[0])


def test_no_minute_costs_more_than_the_budget_of_a_camera_or_of_all() -> None:
    now_s = 0.0
    settings = ObserveSettings(every_s=10.0, camera_tokens_per_min=1000, tokens_per_min=1500)
    budget = TokenBudget(settings, expected=400, clock=lambda: now_s)
    assert budget.has_room("door", at_s=0, is_live=True)
    budget.spend("door", 500, at_s=0, is_live=True)
    assert budget.has_room("door", at_s=10, is_live=True)
    budget.spend("door", 500, at_s=10, is_live=True)
    assert not budget.has_room("door", at_s=20, is_live=True) and budget.has_room("yard", at_s=20, is_live=True)
    budget.spend("yard", 100, at_s=20, is_live=True)
    assert not budget.has_room("yard", at_s=21, is_live=True), "one more of 500 would be more than 1,500 of all"
    assert budget.has_room("film", at_s=21, is_live=False)
    now_s = 60.0
    assert budget.has_room("door", at_s=60, is_live=True) and budget.has_room("yard", at_s=60, is_live=True)


def test_a_file_has_its_budget_for_each_minute_of_footage() -> None:
    settings = ObserveSettings(every_s=10.0, camera_tokens_per_min=1000)
    budget = TokenBudget(settings, expected=400, clock=lambda: 0.0)
    begun = [second for second in range(0, 300, 10) if _spent(budget, second)]
    assert begun == [minute + second for minute in range(0, 300, 60) for second in (0, 10)]


def _spent(budget: TokenBudget, second: int) -> bool:
    has_room = budget.has_room("film", at_s=second, is_live=False)
    if has_room:
        budget.spend("film", 500, at_s=second, is_live=False)
    return has_room


def test_a_server_that_does_not_tell_what_it_read_is_charged_the_dearest() -> None:
    budget = TokenBudget(ObserveSettings(every_s=10.0, camera_tokens_per_min=1000), expected=600)
    budget.spend("door", 0, at_s=0, is_live=True)
    assert not budget.has_room("door", at_s=1, is_live=True)
