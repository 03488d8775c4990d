"""The views of a source between the watch and the store: what is kept, when, and what people said is right."""

import numpy as np
import pytest

from vigil.store.camera_views import StoredView, StoredViews
from vigil.watch.known_views import LEARN_S, Grey, Visible
from vigil.watch.live_views import KEEP_S, LiveViews

EVERYTHING: Visible = np.ones((36, 48), bool)


def place(seed: int) -> Grey:
    return np.kron(np.random.default_rng(seed).uniform(20, 200, (6, 8)), np.ones((6, 6))).astype(np.float32)


def learn(views: LiveViews, seed: int, *, seconds: float) -> None:
    for _ in range(round(seconds / 2.0)):
        views.learn(place(seed), EVERYTHING, sharpness=3.0, seconds=2.0, is_sharp=True)


def correlation(views: LiveViews, seed: int, *, is_clear: bool = True) -> float:
    match = views.match(place(seed), EVERYTHING, sharpness=3.0, is_clear=is_clear)
    return 0.0 if match is None else match.correlation


def test_a_view_is_kept_when_it_becomes_known_and_again_when_it_has_followed_the_daylight() -> None:
    views = LiveViews()
    learn(views, 1, seconds=LEARN_S - 2.0)
    assert views.news() is None
    learn(views, 1, seconds=2.0)
    first = views.news()
    assert first is not None and len(first.views) == 1 and views.news() is None
    learn(views, 1, seconds=KEEP_S - 2.0)
    assert views.news() is None
    learn(views, 1, seconds=2.0)
    assert views.news() is not None


def test_what_could_not_be_kept_is_news_again() -> None:
    views = LiveViews()
    learn(views, 1, seconds=LEARN_S)
    assert (news := views.news()) is not None
    views.keep_again()
    assert views.news() == news


def test_views_are_the_same_after_a_restart_and_another_place_is_not_taken_for_the_usual_one() -> None:
    before, after = LiveViews(), LiveViews()
    learn(before, 1, seconds=LEARN_S)
    kept = before.news()
    assert kept is not None
    after.begin(kept)
    assert correlation(after, 1) == pytest.approx(1.0, abs=0.001) and correlation(after, 2) < 0.3
    learn(after, 2, seconds=2 * LEARN_S)
    assert correlation(after, 2) < 0.3, "the first view is known, so another one needs its half hour"
    assert after.news() is None


def test_views_are_kept_again_without_what_a_new_mask_covers() -> None:
    before, after, visible = LiveViews(), LiveViews(), EVERYTHING.copy()
    visible[:, 30:] = False
    learn(before, 1, seconds=LEARN_S)
    kept = before.news()
    assert kept is not None
    after.begin(kept)
    after.cover(EVERYTHING)
    assert after.news() is None
    after.cover(visible)
    news = after.news()
    assert news is not None
    picture = np.frombuffer(news.views[0].picture, np.uint8).reshape(36, 48)
    assert picture[:, :30].all() and not picture[:, 30:].any()


def test_the_view_that_was_said_to_be_right_is_the_only_one_and_is_told_with_what_was_asked() -> None:
    views = LiveViews()
    learn(views, 1, seconds=LEARN_S)
    views.accept("now")
    assert correlation(views, 2, is_clear=False) < 0.3, "what is dark or covered is no view"
    even = np.full((36, 48), 90.0, np.float32)
    assert views.match(even, EVERYTHING, sharpness=3.0, is_clear=True) is None
    assert correlation(views, 2) == pytest.approx(1.0) and correlation(views, 1) < 0.3
    news = views.news()
    assert news is not None and news.request == "now" and len(news.views) == 1
    views.accept("now")
    assert correlation(views, 1) < 0.3, "the same request is not done twice"


def test_what_was_asked_while_nobody_watched_is_done_with_the_first_picture() -> None:
    views = LiveViews()
    views.begin(StoredViews(views=(), request="earlier"))
    assert correlation(views, 2) == pytest.approx(1.0)


def test_views_that_are_damaged_are_left_out() -> None:
    views = LiveViews()
    short = StoredView(picture=b"x", visible=b"x", sharpness=1.0, seen_s=1.0)
    odd = StoredView(picture=bytes(1728), visible=bytes(1728), sharpness=float("nan"), seen_s=1.0)
    views.begin(StoredViews(views=(short, odd)))
    assert views.match(place(1), EVERYTHING, sharpness=3.0, is_clear=True) is None
