"""The pixels that vLLM's processor makes of a list of frames. Runs in vLLM's environment, without Vigil.

It takes the same steps as vLLM: each JPEG through PIL, the frames as one array, Qwen3-VL's video processor with the
sizes that the server was started with. It reports a digest and a few values, as `trained_prompts.py` does for
LLaMA-Factory.

    .venv-serve/bin/python vigil_pixels.py ASKED.json OUT.json

where ASKED holds {"model": DIR, "videos_kwargs": {...}, "videos": [[FRAME, ...], ...]}.
"""

import gc

gc.disable()  # while permanent objects are loaded: garbage collection would take a fifth of the start

import atexit
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoVideoProcessor

PROBES = 512
STEPS = 1e4


def served_pixels(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry per video: its grid and a digest of its pixels."""
    processor = AutoVideoProcessor.from_pretrained(asked["model"])
    return [_told(processor, frames, asked["videos_kwargs"]) for frames in asked["videos"]]


def _told(processor: Any, frames: list[str], kwargs: dict[str, Any]) -> dict[str, Any]:
    video = np.stack([np.asarray(Image.open(frame).convert("RGB")) for frame in frames])
    made = processor(videos=[video], do_sample_frames=False, return_tensors="np", **kwargs)
    flat = np.asarray(made["pixel_values_videos"], dtype=np.float64)
    values = np.ascontiguousarray(flat).ravel()
    places = np.linspace(0, values.size - 1, PROBES).astype(np.int64)
    digest = hashlib.sha256(np.rint(values * STEPS).astype(np.int32).tobytes()).hexdigest()
    grid = np.asarray(made["video_grid_thw"])[0].tolist()
    return {"grid_thw": grid, "pixels": digest, "shape": list(flat.shape), "probes": values[places].tolist()}


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)  # skip the interpreter's cleanup, which takes seconds
    question, answer = map(Path, sys.argv[1:3])
    told = served_pixels(json.loads(question.read_text(encoding="utf-8")))
    answer.write_text(json.dumps(told), encoding="utf-8")
