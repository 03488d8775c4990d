"""Runs a model once on one fixed window and prints the result as JSON: `{"outcome": "passed", "words": "..."}`.

    .venv-train/bin/python src/vigil/training_env/smoke_test.py MODEL '{"prompt": ..., "words": [...], ...}'

Uses a GPU in bfloat16 if `gpu_bytes` are free on it, else the CPU in `cpu_dtype`; if that is empty, the outcome is
"skipped". The prompt contains one video; `size_wh` and `frames` must fit the model's family.
"""

import gc

gc.disable()  # during imports: collecting among objects that all stay would take a fifth of the start-up time

import atexit
import json
import sys
import time
from typing import Any

import numpy as np
import torch
from positions import mend_positions  # type: ignore[import-not-found]
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.video_utils import VideoMetadata

FPS = 2.0
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def fixed_window(frames: int, size_wh: tuple[int, int]) -> np.ndarray:
    """Returns a video of a light square crossing a grey ramp: `(frames, height, width, 3) uint8`."""
    width, height = size_wh
    ramp = np.linspace(40, 160, width, dtype=np.uint8)
    window = np.broadcast_to(ramp[None, None, :, None], (frames, height, width, 3)).copy()
    for index in range(frames):
        left = (width - height // 3) * index // frames
        window[index, height // 3 : height * 2 // 3, left : left + height // 3] = 230
    return window


def prompt_inputs(processor: Any, request: dict[str, Any], config: Any) -> dict[str, torch.Tensor]:
    """Returns the processor's inputs for the window and the question, in the form used in training."""
    frames = request["frames"]
    metadata = VideoMetadata(
        total_num_frames=frames, fps=FPS, frames_indices=list(range(frames)), duration=frames / FPS
    )
    inputs = processor(
        text=[request["prompt"]],
        videos=[torch.from_numpy(fixed_window(frames, tuple(request["size_wh"]))).permute(0, 3, 1, 2)],
        video_metadata=[metadata],
        do_sample_frames=False,
        return_tensors="pt",
    )
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == config.video_token_id).long() * 2
    return dict(inputs)


def logits_of(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Returns the logits of every position on the CPU, `(length, vocabulary)` float32."""
    with torch.inference_mode():
        return model(**{key: value.to(model.device) for key, value in inputs.items()}).logits[0].float().cpu()


def place(request: dict[str, Any]) -> tuple[str, str]:
    """Returns a device with enough memory and the dtype to use on it; two empty strings if there is none."""
    if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] >= request["gpu_bytes"]:
        return "cuda", "bfloat16"
    return ("cpu", request["cpu_dtype"]) if request["cpu_dtype"] else ("", "")


def run(folder: str, request: dict[str, Any]) -> dict[str, str]:
    """Loads the model, runs it once, and returns whether all weights fit and all logits are finite."""
    device, dtype = place(request)
    if not device:
        return {"outcome": "skipped", "words": "there is not enough memory free for it, on a GPU or beside it"}
    mend_positions()
    processor = AutoProcessor.from_pretrained(folder)
    model, loaded = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=dtype, device_map=device, output_loading_info=True
    )
    absent = [*loaded["missing_keys"], *loaded["mismatched_keys"]]
    if absent:
        return {"outcome": "failed", "words": f"{absent[0]} and {len(absent) - 1} more are not as the class wants them"}
    model = model.eval()
    inputs = prompt_inputs(processor, request, model.config)
    started_s = time.monotonic()
    logits = logits_of(model, inputs)
    seconds = time.monotonic() - started_s
    if not torch.isfinite(logits).all():
        return {"outcome": "failed", "words": "its answer holds values that are no numbers"}
    words = [processor.tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in request["words"]]
    p_alarm = float(logits[-1][words].softmax(-1)[: request["alarm_words"]].sum())
    where = f"{device}, {dtype}, {logits.shape[0]} tokens in {seconds:.1f} s"
    return {"outcome": "passed", "words": f"one window ran ({where}), p(alarm) {p_alarm:.4f}"}


def main(folder: str, request: dict[str, Any]) -> dict[str, str]:
    """Like `run`, but running out of memory counts as skipped, not as a fault of the model."""
    try:
        return run(folder, request)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in NO_MEMORY):
            raise
        return {"outcome": "skipped", "words": "the memory that was free did not do"}


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)  # skips the collection of loaded modules at exit, which takes seconds
    print(json.dumps(main(sys.argv[1], json.loads(sys.argv[2]))))  # noqa: T201
