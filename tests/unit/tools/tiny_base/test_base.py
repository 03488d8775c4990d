"""The shipped base under transformers: run by the training environment's Python (`-m train_env`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tools.tiny_base.windows import build_batch, draw_window, patches_of

from vigil.tiny import BASE_FOLDER

pytestmark = [pytest.mark.train_env, pytest.mark.filterwarnings("ignore")]
QUESTION, ANSWER = "用数字描述画面。", "3141"


@pytest.fixture(scope="module")
def base() -> tuple[Any, Any]:
    torch = pytest.importorskip("torch", reason="needs the training environment (scripts/setup.sh train)")
    transformers = pytest.importorskip("transformers", reason="needs the training environment")
    model = transformers.Qwen3VLForConditionalGeneration.from_pretrained(str(BASE_FOLDER), dtype=torch.float32)
    return model, transformers.AutoProcessor.from_pretrained(str(BASE_FOLDER))


@pytest.fixture(scope="module")
def processed(base: tuple[Any, Any]) -> tuple[np.ndarray[Any, Any], Any]:
    _, processor = base
    frames = np.stack([draw_window(seed, difficulty=0.6).frames for seed in range(2)])
    messages = [
        {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": QUESTION}]},
        {"role": "assistant", "content": ANSWER},
    ]
    text = processor.apply_chat_template(messages, tokenize=False)
    metadata = {"fps": 2, "frames_indices": list(range(6)), "total_num_frames": 6}
    inputs = processor(
        text=[text, text], videos=[*frames], video_metadata=[metadata] * 2, do_sample_frames=False, return_tensors="pt"
    )
    return frames, inputs


def test_hand_made_token_ids_are_the_processors(base: tuple[Any, Any], processed: tuple[Any, Any]) -> None:
    _, processor = base
    batch = build_batch(processor.tokenizer.encode, [(QUESTION, ANSWER)] * 2, num_pairs=3, pad_id=0)
    assert np.array_equal(processed[1]["input_ids"].numpy(), batch.ids)


def test_hand_made_patches_are_the_processors(processed: tuple[Any, Any]) -> None:
    frames, inputs = processed
    pixels = patches_of(frames).reshape(-1, 1536) / 127.5 - 1
    assert np.abs(inputs["pixel_values_videos"].numpy() - pixels).max() < 1e-6


def test_the_fast_forward_pass_gives_the_ordinary_logits(base: tuple[Any, Any], processed: tuple[Any, Any]) -> None:
    torch = pytest.importorskip("torch")
    from tools.tiny_base.forward import encode_frames, run_language_model

    model, processor = base
    frames, inputs = processed
    batch = build_batch(processor.tokenizer.encode, [(QUESTION, ANSWER)] * 2, num_pairs=3, pad_id=0)
    with torch.no_grad():
        ordinary = model(**inputs).logits
        fast = model.lm_head(run_language_model(model, encode_frames(model.model.visual, patches_of(frames)), batch))
    assert (ordinary - fast).abs().max().item() < 1e-3


@pytest.mark.parametrize(("word", "count"), [("是的", 2), ("没有", 1), ("Yes", 1), ("No", 1), ("yes", 1), ("no", 1)])
@pytest.mark.parametrize("following", ["，画面", ", there", "<|im_end|>"])
def test_a_verdict_word_is_cut_where_an_answer_begins_as_it_is_alone(
    base: tuple[Any, Any], word: str, count: int, following: str
) -> None:
    _, processor = base
    encode = processor.tokenizer.encode
    prompt = "<|im_start|>assistant\n"
    whole, alone = encode(prompt + word + following), encode(word)
    assert len(alone) == count
    assert whole[: len(encode(prompt)) + count] == encode(prompt) + alone
