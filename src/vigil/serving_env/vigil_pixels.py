"""The pixels that vLLM's processor makes of a list of frames. Runs in vLLM's environment, without Vigil.

It takes the same steps as vLLM: each JPEG through PIL, the frames as one array, the model's video processor with the
sizes that the server was started with. It reports a digest and a few values, as `trained_prompts.py` does for
LLaMA-Factory.

    .venv-serve/bin/python vigil_pixels.py ASKED.json OUT.json

where ASKED holds {"model": DIR, "videos_kwargs": {...}, "videos": [[FRAME, ...], ...]}. With "positions": FPS it also
reports how vLLM numbers the tokens of each video, for models whose positions count seconds; loading vLLM takes seconds.
"""

import gc

gc.disable()  # while permanent objects are loaded: garbage collection would take a fifth of the start

import atexit
import hashlib
import json
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoVideoProcessor
from transformers.video_utils import VideoMetadata

PROBES = 512
STEPS = 1e4


def served_pixels(request: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry per video: its grid, a digest of its pixels, and its positions if requested."""
    processor = AutoVideoProcessor.from_pretrained(request["model"])
    entries = [_digest(processor, _video(frames), request["videos_kwargs"]) for frames in request["videos"]]
    if request.get("positions"):
        numbered = _positions(request)
        entries = [entry | {"positions": each} for entry, each in zip(entries, numbered, strict=True)]
    return entries


def _video(frames: list[str]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(frame).convert("RGB")) for frame in frames])


def _positions(request: dict[str, Any]) -> list[list[list[int]]]:
    """Time, height and width of each token of a video and of the one behind it, as vLLM numbers them."""
    from transformers import AutoConfig, AutoProcessor
    from vllm.model_executor.models.qwen2_5_vl import Qwen2_5_VLForConditionalGeneration as Model

    processor = AutoProcessor.from_pretrained(request["model"])
    model = SimpleNamespace(config=AutoConfig.from_pretrained(request["model"]))
    model.iter_mm_grid_thw = partial(Model.iter_mm_grid_thw, model)
    numbered = []
    for frames in request["videos"]:
        feature = _feature(processor, _video(frames), request)
        length = int(feature.data["video_grid_thw"].data.prod()) // processor.video_processor.merge_size**2
        positions, _ = Model.get_mrope_input_positions(model, [0] * (length + 1), [feature])
        numbered.append(positions.tolist())
    return numbered


def _feature(processor: Any, video: np.ndarray, request: dict[str, Any]) -> SimpleNamespace:
    """A video as vLLM's model is given it: with the times that its loader of frame lists gives the frames."""
    fps, count = request["positions"], len(video)
    metadata = VideoMetadata(
        total_num_frames=count, fps=fps, frames_indices=list(range(count)), duration=count / fps, video_backend="jpeg"
    )
    made = processor(
        text=[processor.video_token],
        videos=[video],
        video_metadata=[metadata],
        do_sample_frames=False,
        return_tensors="pt",
        **request["videos_kwargs"],
    )
    data = {key: SimpleNamespace(data=made[key][0]) for key in ("video_grid_thw", "second_per_grid_ts")}
    return SimpleNamespace(modality="video", mm_position=SimpleNamespace(offset=0), data=data)


def _digest(processor: Any, video: np.ndarray, kwargs: dict[str, Any]) -> dict[str, Any]:
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
    digests = served_pixels(json.loads(question.read_text(encoding="utf-8")))
    answer.write_text(json.dumps(digests), encoding="utf-8")
