"""Holds a merged model against base plus adapter on one fixed window; prints what it found as JSON.

Everything is computed in float32, so that what differs is the weights and not the arithmetic. What rounding the
exactly merged weights to bfloat16 costs at best is measured as well: it is the yardstick for the tolerance, since it
grows with the model and with the adapter in a way no fixed number does.

    .venv-train/bin/python src/vigil/training_env/merge_check.py BASE ADAPTER MERGED '{"question": ..., "words": [...]}'
"""

import gc

gc.disable()  # while what stays is loaded: a fifth of the start would go to looking for garbage in it

import atexit
import json
import sys
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.video_utils import VideoMetadata

FRAMES, HEIGHT, WIDTH, FPS = 6, 96, 128, 2.0
TOLERANCE_FACTOR = 4.0
FLOOR = 1e-3


def fixed_window() -> np.ndarray:
    """A light square that crosses a grey ramp: `(6, 96, 128, 3) uint8`."""
    ramp = np.linspace(40, 160, WIDTH, dtype=np.uint8)
    frames = np.broadcast_to(ramp[None, None, :, None], (FRAMES, HEIGHT, WIDTH, 3)).copy()
    for index in range(FRAMES):
        frames[index, 30:62, 8 + 18 * index : 40 + 18 * index] = 230
    return frames


def prompt_inputs(processor: Any, question: str, config: Any) -> dict[str, torch.Tensor]:
    """The window and the question as the model is trained on them."""
    text = f"<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>{question}<|im_end|>\n<|im_start|>assistant\n"
    metadata = VideoMetadata(
        total_num_frames=FRAMES, fps=FPS, frames_indices=list(range(FRAMES)), duration=FRAMES / FPS
    )
    inputs = processor(
        text=[text],
        videos=[torch.from_numpy(fixed_window()).permute(0, 3, 1, 2)],
        video_metadata=[metadata],
        do_sample_frames=False,
        return_tensors="pt",
    )
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == config.video_token_id).long() * 2
    return dict(inputs)


def logits_of(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Logits of every position, `(length, vocabulary)`."""
    with torch.inference_mode():
        return model(**{key: value.to(model.device) for key, value in inputs.items()}).logits[0].float().cpu()


def load(folder: str) -> Any:
    """A model in float32, on the GPU where there is one."""
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def compare(base: str, adapter: str, merged: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Loads one model after the other, and says how far the merged one is off."""
    processor = AutoProcessor.from_pretrained(merged)
    model = load(base)
    inputs = prompt_inputs(processor, asked["question"], model.config)
    plain = logits_of(model, inputs)
    model = PeftModel.from_pretrained(model, adapter).eval()
    reference = logits_of(model, inputs)
    model = model.merge_and_unload().to(torch.bfloat16).to(torch.float32)
    rounded = logits_of(model, inputs)
    del model
    found = logits_of(load(merged), inputs)
    words = [processor.tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in asked["words"]]
    rounding = float((rounded - reference).abs().max())
    expected, actual = reference[-1].log_softmax(-1), found[-1].log_softmax(-1)
    return {
        "max_logit_difference": float((found - reference).abs().max()),
        "tolerance": TOLERANCE_FACTOR * rounding + FLOOR,
        "rounding": rounding,
        "adapter_effect": float((reference - plain).abs().max()),
        "kl": float((expected.exp() * (expected - actual)).sum()),
        "same_top_token": bool(expected.argmax() == actual.argmax()),
        "p_alarm_adapter": float(expected[words].softmax(-1)[0]),
        "p_alarm_merged": float(actual[words].softmax(-1)[0]),
    }


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)  # what was loaded needs no tidying: it takes seconds
    base_folder, adapter_folder, merged_folder, asked_json = sys.argv[1:]
    print(json.dumps(compare(base_folder, adapter_folder, merged_folder, json.loads(asked_json))))  # noqa: T201
