"""The usual views of a camera: when one is known, what is still the same view, and what is not."""

import numpy as np
import pytest

from vigil.watch.known_views import ACCEPT_S, LEARN_S, MOST_VIEWS, Grey, KnownViews, Visible

EVERYTHING: Visible = np.ones((36, 48), bool)


def place(seed: int) -> Grey:
    """A coarse picture of a place: blocks of other greys."""
    blocks = np.random.default_rng(seed).uniform(20, 200, (6, 8))
    return np.kron(blocks, np.ones((6, 6))).astype(np.float32)


def learned(*seeds: int, seconds: float) -> KnownViews:
    views = KnownViews()
    for seed in seeds:
        for _ in range(round(seconds / 2.0)):
            views.learn(place(seed), EVERYTHING, sharpness=3.0, seconds=2.0)
    return views


def correlation(views: KnownViews, picture: Grey) -> float | None:
    match = views.match(picture, EVERYTHING)
    return None if match is None else match.correlation


def test_a_view_is_known_once_it_was_seen_for_long_enough() -> None:
    assert correlation(learned(1, seconds=LEARN_S - 2.0), place(1)) is None
    assert correlation(learned(1, seconds=LEARN_S), place(1)) == pytest.approx(1.0)


def test_light_does_not_change_a_view_and_another_place_does() -> None:
    views = learned(1, seconds=LEARN_S)
    assert correlation(views, 0.2 * place(1) + 10.0) == pytest.approx(1.0)
    assert (correlation(views, place(2)) or 0.0) < 0.3


def test_an_even_picture_is_no_view_and_matches_none() -> None:
    views = learned(1, seconds=LEARN_S)
    assert correlation(views, np.full((36, 48), 90.0, np.float32)) is None


def test_only_what_no_mask_covers_is_compared() -> None:
    views, half = learned(1, seconds=LEARN_S), EVERYTHING.copy()
    half[:, :24] = False
    changed = place(1)
    changed[:, :20] = place(2)[:, :20]
    match = views.match(changed, half)
    assert match is not None and match.correlation == pytest.approx(1.0, abs=0.01)


def test_what_a_new_mask_covers_is_in_no_view_any_more() -> None:
    views, visible = learned(1, 2, seconds=ACCEPT_S), EVERYTHING.copy()
    visible[4:20, 4:20] = False
    assert views.cover(visible) and not views.cover(visible)
    assert len(views.views) == 2 and not any(view.picture[~visible].any() for view in views.views)
    assert all(view.picture[visible].any() for view in views.views)
    views.learn(np.where(visible, place(2), np.float32(0.0)), visible, sharpness=3.0, seconds=2.0)
    assert not views.cover(visible)


def test_a_mask_that_is_taken_away_again_makes_no_other_view() -> None:
    views, visible = learned(1, seconds=LEARN_S), EVERYTHING.copy()
    visible[:, 10:] = False
    assert views.cover(visible)
    for _ in range(3):
        match = views.match(place(1), EVERYTHING)
        assert match is not None and match.correlation > 0.9
        views.learn(place(1), EVERYTHING, sharpness=3.0, seconds=2.0)
    assert views.cover(~EVERYTHING) and not views.views, "nothing is left to recognise it by"
    assert views.match(place(1), EVERYTHING) is None


def test_a_new_view_is_accepted_after_half_an_hour_and_so_many_are_kept() -> None:
    assert (correlation(learned(1, 2, seconds=ACCEPT_S - 2.0), place(2)) or 0.0) < 0.3
    both = learned(1, 2, seconds=ACCEPT_S)
    assert correlation(both, place(2)) == pytest.approx(1.0) and correlation(both, place(1)) == pytest.approx(1.0)
    many = learned(*range(1, MOST_VIEWS + 2), seconds=ACCEPT_S)
    assert (correlation(many, place(1)) or 0.0) < 0.3 and correlation(many, place(2)) == pytest.approx(1.0)


def test_a_view_that_comes_and_goes_is_not_accepted() -> None:
    views = learned(1, seconds=LEARN_S)
    for _ in range(round(ACCEPT_S / 2.0)):
        views.learn(place(2), EVERYTHING, sharpness=3.0, seconds=2.0)
        views.learn(place(1), EVERYTHING, sharpness=3.0, seconds=2.0)
    assert (correlation(views, place(2)) or 0.0) < 0.3


def test_pictures_that_are_out_of_focus_do_not_tell_how_sharp_a_view_is() -> None:
    views = learned(1, seconds=LEARN_S)
    for _ in range(100):
        views.learn(place(1), EVERYTHING, sharpness=0.5, seconds=2.0, is_sharp=False)
    match = views.match(place(1), EVERYTHING)
    assert match is not None and match.sharpness == pytest.approx(3.0)
