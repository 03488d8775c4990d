"""Faults that are put into drawn pictures."""

import numpy as np
import pytest

from vigil.rules.camera_fault import Fault
from vigil.synth.camera_faults import with_fault, with_sensor_noise
from vigil.synth.clip import draw_clip
from vigil.synth.figure import Image


@pytest.fixture(scope="module")
def frames() -> Image:
    return draw_clip(3, fps=2.0, duration_s=4.0, size_wh=(96, 72)).frames


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_changes_the_pictures_and_the_same_seed_gives_the_same(frames: Image, fault: Fault) -> None:
    broken = with_fault(frames, fault, seed=5)
    assert broken.shape == frames.shape and broken.dtype == np.uint8 and not np.array_equal(broken, frames)
    assert np.array_equal(broken, with_fault(frames, fault, seed=5))


def test_a_frozen_picture_has_the_same_noise_and_a_dark_one_has_its_own(frames: Image) -> None:
    frozen, dark = with_fault(frames, Fault.FROZEN, seed=1), with_fault(frames, Fault.DARK, seed=1)
    assert all(np.array_equal(frozen[0], each) for each in frozen)
    assert dark.max() < 40 and not np.array_equal(dark[0], dark[1])


def test_noise_is_as_strong_as_it_is_told_to_be(frames: Image) -> None:
    grey = np.full_like(frames, 128)
    assert float(with_sensor_noise(grey, strength=3.0, seed=1).std()) == pytest.approx(3.0, abs=0.1)
