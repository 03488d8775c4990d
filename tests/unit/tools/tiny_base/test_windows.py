"""Windows as the base is trained on them."""

from __future__ import annotations

import numpy as np
from tools.tiny_base.windows import PATCHES, build_batch, draw_window, patches_of, picture_text


def letters(text: str) -> list[int]:
    """A tokenizer for tests: specials are one token, everything else one a letter."""
    ids: list[int] = []
    for part in text.replace("<|", "\0<|").replace("|>", "|>\0").split("\0"):
        ids += [1000 + hash(part) % 1000] if part.startswith("<|") else [ord(letter) % 1000 for letter in part]
    return ids


def test_a_window_is_drawn_the_same_again() -> None:
    first, again = draw_window(9, difficulty=0.5), draw_window(9, difficulty=0.5)
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.targets, again.targets)


def test_patches_hold_every_pixel_once() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, 6, 96, 128, 3)).astype(np.uint8)
    patches = patches_of(frames)
    assert patches.shape == (2, 3, PATCHES, 1536)
    assert np.array_equal(np.sort(patches, axis=None), np.sort(frames, axis=None))


def test_the_first_patch_is_the_top_left_corner_of_both_frames() -> None:
    frames = np.random.default_rng(2).integers(0, 256, (1, 2, 96, 128, 3)).astype(np.uint8)
    corner = frames[0, :, :16, :16].transpose(3, 0, 1, 2).reshape(-1)
    assert np.array_equal(patches_of(frames)[0, 0, 0], corner)


def test_targets_are_where_the_people_are() -> None:
    window = draw_window(11, difficulty=0.2)
    people = window.targets[:, :, 0].sum()
    assert (people > 0) == (len(window.scenery.people) > 0)


def test_the_times_in_a_prompt_are_those_of_training_and_serving() -> None:
    text = picture_text(3)
    assert [f"<{time} seconds>" in text for time in ("0.2", "1.2", "2.2")] == [True] * 3
    assert text.count("<|video_pad|>") == 36


def test_only_the_answer_is_learnt() -> None:
    batch = build_batch(letters, [("q", "12"), ("longer", "3")], num_pairs=3, pad_id=0)
    assert batch.is_visual.sum() == 36
    for row in range(2):
        learnt = batch.labels[row] >= 0
        assert np.array_equal(batch.ids[row][learnt], batch.labels[row][learnt])
    assert (batch.labels[0] >= 0).sum() == len(letters("12<|im_end|>\n"))


def test_positions_of_a_picture_span_its_rows_and_columns() -> None:
    batch = build_batch(letters, [("q", "1")], num_pairs=1, pad_id=0)
    picture = batch.positions[:, 0, batch.is_visual]
    assert np.ptp(picture, axis=1).tolist() == [0, 2, 3]


def test_a_single_image_has_its_own_pads_and_no_time() -> None:
    batch = build_batch(letters, [("q", "1")], num_pairs=0, pad_id=0)
    assert batch.is_visual.sum() == 12
    assert batch.ids[0][batch.is_visual][0] == letters("<|image_pad|>")[0]
