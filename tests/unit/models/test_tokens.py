"""One token count, held against the five that there were before it."""

import math
from itertools import product
from pathlib import Path

import pytest

from vigil.chat.conversation import ContextLimits
from vigil.errors import DatasetError
from vigil.frames import FrameSampling
from vigil.models import FAMILIES, QWEN2_5_VL, QWEN3_VL, ModelFamily
from vigil.models.tokens import (
    ByteBound,
    attachment_tokens,
    example_tokens,
    load_token_counter,
    window_tokens,
)
from vigil.questions import load_question
from vigil.tiny import BASE_FOLDER

QUESTION = load_question("fight").text
ANSWER = "是的，有人打架。"
SAMPLINGS = [
    FrameSampling(fps=fps, frames=frames, max_pixels=max_pixels)
    for fps, frames, max_pixels in product((0.1, 0.5, 2, 7), (2, 6, 8, 60), (4096, 12_288, 16_384, 131_072, 589_824))
]
SIZES_WH = ((64, 64), (128, 96), (480, 256), (416, 320), (768, 768))


def old_window_tokens(sampling: FrameSampling, question: str) -> int:
    """As the judge and the server counted it, each with its own numbers."""
    return sampling.frames // 2 * (sampling.max_pixels // (32 * 32) + 8) + len(question) + 16


def old_training_tokens(lines: tuple[str, ...], frames: int, size_wh: tuple[int, int]) -> int:
    """As a training did."""
    cells = -(-size_wh[0] // 32) * -(-size_wh[1] // 32)
    text = sum(len(line.encode()) + 16 for line in lines)
    return -(-frames // 2) * (cells + 2 + len("<1000.0 seconds>")) + text


def old_dataset_tokens(question: str, answer: str, frames: int, size_wh: tuple[int, int], fps: float) -> int:
    """As the check of a dataset did, without a tokenizer."""
    marks = "".join(
        f"<{(2 * pair + 0.5) / fps:.1f} seconds><|vision_start|><|vision_end|>" for pair in range(-(-frames // 2))
    )
    spelled = f"<|im_start|>user\n{marks}{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
    return -(-frames // 2) * (size_wh[0] // 32) * (size_wh[1] // 32) + len(spelled.encode())


def old_frame_tokens(pixels: int) -> int:
    """As the chat did, of one picture or one pair."""
    return math.ceil(pixels / (32 * 32)) + 8


def bound(frames: int, size_wh: tuple[int, int], fps: float) -> int:
    return example_tokens(QWEN3_VL, ANSWER, QUESTION, frames, size_wh, fps=fps, counter=ByteBound())


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("question", ["", "?", QUESTION])
def test_a_window_is_never_counted_lower_than_before(sampling: FrameSampling, question: str) -> None:
    assert window_tokens(QWEN3_VL, sampling, question) >= old_window_tokens(sampling, question)


@pytest.mark.parametrize(("frames", "size_wh", "fps"), [*product((2, 4, 6, 8, 60), SIZES_WH, (0.1, 0.5, 2, 7))])
def test_an_example_is_never_counted_lower_than_before(frames: int, size_wh: tuple[int, int], fps: float) -> None:
    counted = bound(frames, size_wh, fps)
    assert counted >= old_training_tokens((QUESTION, ANSWER), frames, size_wh)
    assert counted >= old_dataset_tokens(QUESTION, ANSWER, frames, size_wh, fps)


@pytest.mark.parametrize(("count", "size_wh", "is_video"), [*product((1, 2, 5, 60), SIZES_WH, (True, False))])
def test_an_attachment_is_never_counted_lower_than_before(count: int, size_wh: tuple[int, int], is_video: bool) -> None:
    old = old_frame_tokens(size_wh[0] * size_wh[1]) * math.ceil(count / (2 if is_video else 1))
    assert attachment_tokens(QWEN3_VL, size_wh, count, is_video=is_video) >= old


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("context", [1024, 4096, 7680])
def test_the_longest_look_fits_its_context_as_it_is_counted(family: ModelFamily, context: int) -> None:
    sampling, limits = FrameSampling(max_pixels=12_288, **family.grid), ContextLimits(context=context)
    size_wh = sampling.fit(640, 480)
    frames = limits.most_frames(sampling, beside=QUESTION)
    taken = attachment_tokens(family, size_wh, frames, is_video=True)
    assert frames % family.frames_per_group == 0
    assert taken + len(QUESTION) + 16 <= limits.prompt


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("fps", [0.1, 0.5, 2.0, 7.0])
def test_no_bound_falls_short_of_the_tokenizer(family: ModelFamily, fps: float) -> None:
    """Up to 600 s of video: the time text of Qwen3-VL takes a token a digit."""
    tokenizer = load_token_counter(BASE_FOLDER)
    sampling = FrameSampling(fps=fps, frames=60, max_pixels=12_288, **family.grid)
    size_wh = sampling.fit(640, 480)
    counted = {
        counter.exact: example_tokens(family, ANSWER, QUESTION, 60, size_wh, fps=fps, counter=counter)
        for counter in (tokenizer, ByteBound())
    }
    prompt = tokenizer.count(family.training_prompt(QUESTION, 60, fps)) + family.visual_tokens(60, size_wh)
    question = tokenizer.count(QUESTION)
    assert prompt < counted[True] <= counted[False]
    assert prompt <= window_tokens(family, sampling, QUESTION)
    assert prompt - question <= attachment_tokens(family, size_wh, 60, is_video=True) + 16 + 11


def test_pictures_take_a_token_for_a_cell_of_a_group() -> None:
    assert QWEN3_VL.visual_tokens(6, (480, 256)) == 360
    assert QWEN3_VL.visual_tokens(4, (128, 96)) == 24
    assert QWEN2_5_VL.visual_tokens(6, (476, 252)) == 3 * 17 * 9
    assert QWEN2_5_VL.visual_tokens(5, (56, 84)) == 3 * 2 * 3


def test_a_folder_without_tokenizer_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no tokenizer\.json"):
        load_token_counter(tmp_path)
