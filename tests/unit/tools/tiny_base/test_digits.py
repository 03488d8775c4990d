"""The numbers that the base is asked for, on scenes made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tools.tiny_base.digits import PAIR_DIGITS, WINDOW_DIGITS, all_digits, closest_pair, measure, window_digits

from vigil.synth.clip import ClipFacts, draw_clip

BODY = np.array([(0, -0.9), (0, -0.8), (0, -0.5), *[(0.0, -0.6)] * 4, *[(0.0, -0.2)] * 4]) * 0.4


def people(*places: float, walk: float = 0.0) -> ClipFacts:
    """People of 0.4 of the frame's height at these x (0..1), who go `walk` widths to the right a frame."""
    steps = walk * np.arange(6)
    joints = np.zeros((6, len(places), 11, 2))
    for number, x in enumerate(places):
        joints[:, number] = BODY + np.array([x, 0.9])
        joints[:, number, :, 0] += steps[:, None]
    count = len(places)
    return ClipFacts(joints, np.full(count, 0.4), ("standing",) * count, np.zeros((6, count), bool), 0.85, 4 / 3)


def digit(facts: ClipFacts, name: str) -> int:
    return int(window_digits(measure(facts))[WINDOW_DIGITS.index(name)])


def test_an_empty_place_has_nobody_and_no_pair() -> None:
    facts = people()
    assert digit(facts, "people") == 0
    assert digit(facts, "nearness") == 9


def test_people_are_counted() -> None:
    assert digit(people(0.2, 0.5, 0.8), "people") == 3


def test_those_who_stand_are_still_and_those_who_walk_are_not() -> None:
    assert digit(people(0.2, 0.5), "still") == 2
    assert digit(people(0.2, 0.5, walk=0.08), "still") == 0


@pytest.mark.parametrize(("walk", "direction"), [(0.0, 0), (-0.05, 1), (0.05, 2)])
def test_the_direction_of_the_fastest_is_named(walk: float, direction: int) -> None:
    assert digit(people(0.5, walk=walk), "direction") == direction


def test_nearer_people_have_a_smaller_digit() -> None:
    assert digit(people(0.5, 0.55), "nearness") < digit(people(0.3, 0.7), "nearness") < 9


def test_the_closest_two_are_found() -> None:
    assert closest_pair(measure(people(0.1, 0.5, 0.58))) == (1, 2)


def test_a_fight_has_faster_limbs_than_a_hug() -> None:
    def limbs(activity: str) -> float:
        digits = [
            digit(draw_clip(seed, fps=2, size_wh=(128, 96), activity=activity).facts, "pair_motion")
            for seed in range(10)
        ]
        return float(np.mean(digits))

    assert limbs("wrestling") > limbs("hugging") + 2


def test_every_digit_is_a_digit_and_their_number_is_fixed() -> None:
    for seed in range(20):
        digits = all_digits(measure(draw_clip(seed, fps=2, size_wh=(128, 96)).facts))
        assert len(digits) == len(WINDOW_DIGITS) + 3 * len(PAIR_DIGITS)
        assert digits.min() >= 0
        assert digits.max() <= 9
