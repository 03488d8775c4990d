"""The detector of people with its real weights: drawn people are seen, empty scenes are not."""

import numpy as np
import pytest

from vigil.errors import EnvironmentMissing
from vigil.person_detector import PersonDetector
from vigil.person_detector.detector import fitted
from vigil.person_detector.weights import person_weights
from vigil.synth.clip import draw_clip


@pytest.fixture(scope="module")
def detector() -> PersonDetector:
    return PersonDetector()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_people_are_told_from_empty_scenes(detector: PersonDetector, seed: int) -> None:
    people, nobody = (
        draw_clip(seed, fps=2.0, duration_s=1.0, activity=activity, difficulty=0.1).frames[0]
        for activity in ("walking", "empty")
    )
    assert detector.confidence(people) > 0.4 > 0.05 > detector.confidence(nobody)


@pytest.mark.parametrize("size_hw", [(64, 64), (1, 500), (500, 1), (96, 128), (1080, 1920)])
def test_a_picture_of_any_size_is_looked_at(detector: PersonDetector, size_hw: tuple[int, int]) -> None:
    picture = np.full((*size_hw, 3), 90, np.uint8)
    shape = fitted(picture).shape
    assert max(shape) == 416 and shape[0] % 32 == shape[1] % 32 == 0
    assert 0.0 <= detector.confidence(picture) < 0.1


def test_weights_that_are_cut_short_are_told() -> None:
    with pytest.raises(EnvironmentMissing, match=r"cannot be loaded; run scripts/setup\.sh core"):
        PersonDetector(lambda: person_weights()[:1000])
