import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.errors import UsageError
from vigil.frames import PIXEL_MULTIPLE, FrameSampling, decode_jpeg, encode_jpeg, fit_size, min_side_px, resize

sides = st.integers(min_value=1, max_value=8192)
MIN_SIDE_PX = min_side_px(PIXEL_MULTIPLE)
caps = st.integers(min_value=MIN_SIDE_PX**2, max_value=2_000_000)


@given(sides, sides, caps)
def test_every_size_fits_the_cap_and_the_grid(width: int, height: int, cap: int) -> None:
    w, h = fit_size(width, height, max_pixels=cap)
    assert w * h <= cap
    assert w % PIXEL_MULTIPLE == 0
    assert h % PIXEL_MULTIPLE == 0
    assert min(w, h) >= MIN_SIDE_PX


@given(sides, sides, caps)
def test_a_picture_is_not_enlarged_beyond_the_next_step_of_the_grid(width: int, height: int, cap: int) -> None:
    w, h = fit_size(width, height, max_pixels=cap)
    if width >= MIN_SIDE_PX <= height:
        assert w <= width + PIXEL_MULTIPLE
        assert h <= height + PIXEL_MULTIPLE


@given(sides, sides, caps)
def test_turning_a_picture_turns_its_size(width: int, height: int, cap: int) -> None:
    w, h = fit_size(width, height, max_pixels=cap)
    turned = fit_size(height, width, max_pixels=cap)
    assert turned[0] * turned[1] == pytest.approx(w * h, rel=0.35)


@given(sides, sides, caps)
def test_a_size_that_fits_stays(width: int, height: int, cap: int) -> None:
    size = fit_size(width, height, max_pixels=cap)
    assert fit_size(*size, max_pixels=cap) == size


@pytest.mark.parametrize("shape", [(1920, 1080), (1280, 720), (640, 480), (704, 576), (480, 640), (1080, 1920)])
def test_usual_shapes_keep_their_shape_and_most_of_their_area(shape: tuple[int, int]) -> None:
    w, h = fit_size(*shape, max_pixels=131_072)
    assert (w / h) / (shape[0] / shape[1]) == pytest.approx(1.0, abs=0.1)
    assert w * h > 0.8 * 131_072


def test_the_tiny_models_frames_are_128_by_96() -> None:
    assert fit_size(640, 480, max_pixels=12_288) == (128, 96)


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-1, 5)])
def test_a_picture_without_size_is_refused(width: int, height: int) -> None:
    with pytest.raises(UsageError):
        fit_size(width, height, max_pixels=131_072)


def test_resizing_to_the_same_size_changes_nothing() -> None:
    image = np.random.default_rng(1).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    assert resize(image, (128, 96)) is image


def test_a_jpeg_shows_what_was_put_in() -> None:
    image = np.zeros((96, 128, 3), np.uint8)
    image[:, :64] = (200, 40, 40)
    back = decode_jpeg(encode_jpeg(image, quality=90))
    assert back.shape == image.shape
    assert np.abs(back[:, :48].astype(int) - (200, 40, 40)).max() < 12


def test_a_jpeg_is_made_of_pictures_that_are_views_too() -> None:
    image = np.zeros((96, 256, 3), np.uint8)[:, ::2]
    assert decode_jpeg(encode_jpeg(image, quality=90)).shape == (96, 128, 3)


def test_a_damaged_jpeg_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        decode_jpeg(b"\xff\xd8 nothing")


@pytest.mark.parametrize(
    ("frames", "overlap", "stride"), [(6, 0.4, 4), (6, 0.0, 6), (6, 0.5, 3), (6, 0.99, 1), (2, 0.4, 2), (8, 0.25, 6)]
)
def test_the_stride_follows_the_overlap(frames: int, overlap: float, stride: int) -> None:
    assert FrameSampling(frames=frames, overlap=overlap).stride == stride


def test_the_default_window_is_three_seconds_long() -> None:
    assert FrameSampling().window_s == 3.0


def test_all_that_is_wrong_with_a_sampling_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        FrameSampling(fps=0, frames=5, overlap=1, max_pixels=1, jpeg_quality=0)
    for word in ("fps", "frames", "overlap", "max_pixels", "jpeg_quality"):
        assert word in str(caught.value)
