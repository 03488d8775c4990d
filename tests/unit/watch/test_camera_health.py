"""What the pixels of drawn views say of the camera, with and without a fault."""

from collections.abc import Sequence

import numpy as np
import pytest

from vigil.frames import Frame, FrameSampling
from vigil.masks import Mask
from vigil.rules.camera_fault import NOT_SHOWN, SHOWN, Fault, fault_question
from vigil.synth.camera_faults import with_fault, with_sensor_noise
from vigil.synth.clip import draw_clip
from vigil.synth.figure import Image
from vigil.watch.camera_health import CameraHealth
from vigil.watch.live_views import LiveViews
from vigil.windows import iter_windows

SAMPLING = FrameSampling(max_pixels=49_152)
WHOLE = Mask(kind="privacy", points=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
HALF = Mask(kind="privacy", points=((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))


def view(seed: int = 3, *, seconds: float = 30.0, activity: str | None = None) -> Image:
    """A drawn view at 2 fps, with the noise of a sensor."""
    clip = draw_clip(seed, fps=2.0, duration_s=seconds, size_wh=(256, 192), activity=activity)
    return with_sensor_noise(clip.frames, strength=2.0, seed=seed)


def looks(
    frames: Image | Sequence[Image], *, masks: tuple[Mask, ...] = (), health: CameraHealth | None = None
) -> list[dict[Fault, bool | None]]:
    """What is said of each window: shown, not shown or None."""
    examined = health or CameraHealth()
    shown = (Frame(image, number / 2.0) for number, image in enumerate(frames))
    states: dict[str | None, bool | None] = {SHOWN: True, NOT_SHOWN: False, None: None}
    return [
        {fault: states[answers[fault_question(fault)].label] for fault in Fault}
        for window in iter_windows(shown, SAMPLING)
        for answers in [examined.examine(window, masks)]
    ]


@pytest.fixture(scope="module")
def frames() -> Image:
    return view()


def test_a_view_in_which_people_walk_shows_no_fault(frames: Image) -> None:
    assert not any(state for each in looks(frames) for state in each.values())


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.FROZEN])
def test_each_fault_is_shown_from_when_it_begins(frames: Image, fault: Fault) -> None:
    broken = with_fault(view(4, seconds=20.0) if fault is Fault.MOVED else frames[-40:], fault, seed=1)
    before, after = looks(frames), looks(np.concatenate([frames, broken]))[16:]
    assert not any(each[fault] for each in before)
    assert all(each[fault] for each in after), [each[fault] for each in after]


def test_a_picture_is_frozen_once_it_has_been_the_same_for_longer_than_keyframes_are_apart(frames: Image) -> None:
    states = [each[Fault.FROZEN] for each in looks(np.concatenate([frames, with_fault(view(), Fault.FROZEN, seed=2)]))]
    # Until then nobody knows: a still scene may look the same from one keyframe to the next.
    assert states[:14] == [False] * 14 and states[16:24] == [None] * 8 and states[-4:] == [True] * 4


def test_a_still_but_live_scene_is_not_frozen() -> None:
    still = np.repeat(view(seconds=1.0, activity="empty")[:1], 100, axis=0)
    assert not any(each[Fault.FROZEN] for each in looks(with_sensor_noise(still, strength=1.0, seed=5)))


def test_lights_that_are_switched_off_cover_no_lens_and_turn_no_camera(frames: Image) -> None:
    faint = with_sensor_noise(np.asarray(frames * 0.1, np.uint8), strength=1.0, seed=7)
    after = looks(np.concatenate([frames, faint]))[17:]
    assert all(each[Fault.DARK] for each in after)
    assert not any(each[Fault.COVERED] or each[Fault.MOVED] for each in after)


def test_in_a_black_picture_nobody_knows_whether_the_lens_is_covered_too() -> None:
    states = looks(np.zeros((12, 192, 256, 3), np.uint8))
    assert {each[Fault.DARK] for each in states} == {True}
    assert {each[Fault.COVERED] for each in states} == {each[Fault.MOVED] for each in states} == {None}


def test_half_as_much_light_is_no_fault(frames: Image) -> None:
    assert not any(state for each in looks(np.concatenate([frames, frames // 2]))[16:] for state in each.values())


def test_before_a_view_is_known_nothing_is_said_of_turning_and_focus(frames: Image) -> None:
    first = looks(frames)[:3]
    assert [(each[Fault.MOVED], each[Fault.BLURRED]) for each in first] == [(None, None)] * 3
    assert [(each[Fault.COVERED], each[Fault.DARK], each[Fault.FROZEN]) for each in first] == [(False,) * 3] * 3


def test_a_picture_that_is_masked_all_over_says_nothing_and_half_of_one_is_enough(frames: Image) -> None:
    nothing = looks(frames, masks=(WHOLE,))[-1]
    assert {nothing[fault] for fault in Fault if fault is not Fault.FROZEN} == {None}
    painted = frames.copy()
    painted[:, :, :130] = 0
    assert not any(state for each in looks(painted, masks=(HALF,)) for state in each.values())
    covered = with_fault(frames, Fault.COVERED, seed=1)
    covered[:, :, :130] = 0
    assert looks(np.concatenate([painted, covered]), masks=(HALF,))[-1][Fault.COVERED]


@pytest.mark.parametrize(("mask", "left"), [(HALF, 24), (WHOLE, 0)])
def test_what_a_new_mask_covers_is_not_kept_in_the_usual_view(frames: Image, mask: Mask, left: int) -> None:
    views = LiveViews()
    health = CameraHealth(views)
    looks(frames, health=health)
    assert views.news() is not None
    painted = frames[:12].copy()
    painted[:, :, : 130 if left else 256] = 0
    assert not any(state for each in looks(painted, masks=(mask,), health=health) for state in each.values())
    news = views.news()
    assert news is not None
    assert len(news.views) == (1 if left else 0)
    for view in news.views:
        picture = np.frombuffer(view.picture, np.uint8).reshape(36, 48)
        assert not picture[:, : 48 - left].any() and picture[:, 48 - left + 1 :].any()


def test_another_view_that_stays_for_half_an_hour_becomes_one_of_the_camera_and_the_first_stays_one(
    frames: Image,
) -> None:
    health = CameraHealth()
    turned = np.tile(view(4), (62, 1, 1, 1))
    states = looks(np.concatenate([frames, turned, frames]), health=health)
    moved = [each[Fault.MOVED] for each in states]
    assert all(moved[20:800]) and not any(moved[-40:])


def test_only_the_faults_that_are_asked_for_are_looked_for(frames: Image) -> None:
    window = next(iter_windows((Frame(image, number / 2.0) for number, image in enumerate(frames)), SAMPLING))
    assert CameraHealth().examine(window, faults=[]) == {}
    assert list(CameraHealth().examine(window, faults=[Fault.DARK])) == ["camera dark"]
