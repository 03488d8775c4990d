"""Probabilities of tokens behind a window and its question, by transformers in the training environment.

    .venv-train/bin/python next_token.py '{"model": DIR, "prompt": ..., "frames": [...], "fps": 2, "tokens": [...],
                                           "scripts": the folder of positions.py}'

Prints those with positions as LLaMA-Factory is started with them, and those with the positions of transformers.
"""

import json
import sys
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.video_utils import VideoMetadata


def main(asked: dict[str, Any]) -> dict[str, list[float]]:
    sys.path.insert(0, asked["scripts"])
    from positions import mend_positions  # type: ignore[import-not-found]

    processor = AutoProcessor.from_pretrained(asked["model"])
    model = AutoModelForImageTextToText.from_pretrained(asked["model"], dtype=torch.float32).eval()
    frames = np.stack([np.asarray(Image.open(frame).convert("RGB")) for frame in asked["frames"]])
    count, fps = len(frames), asked["fps"]
    metadata = VideoMetadata(total_num_frames=count, fps=fps, frames_indices=list(range(count)), duration=count / fps)
    inputs = processor(
        text=[asked["prompt"]],
        videos=[torch.from_numpy(frames).permute(0, 3, 1, 2)],
        video_metadata=[metadata],
        do_sample_frames=False,
        return_tensors="pt",
    )
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == model.config.video_token_id).long() * 2
    told = {"plain": _probabilities(model, inputs, asked["tokens"])}
    mend_positions()
    return told | {"mended": _probabilities(model, inputs, asked["tokens"])}


def _probabilities(model: Any, inputs: Any, tokens: list[int]) -> list[float]:
    with torch.inference_mode():
        logits = model(**inputs).logits[0, -1]
    return logits.softmax(-1)[tokens].tolist()


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
