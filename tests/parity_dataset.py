"""A small dataset in the documented form, with real JPEG frames: what parity is shown on."""

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from vigil.frames import FrameSampling, encode_jpeg
from vigil.manifest import Contract, Manifest
from vigil.models import QWEN3_VL, ModelFamily
from vigil.questions import Question

TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}


def write_dataset(
    folder: Path,
    task: Question,
    sampling: FrameSampling,
    *,
    sizes_wh: Iterable[tuple[int, int]],
    lengths: Iterable[int],
    family: ModelFamily = QWEN3_VL,
) -> int:
    """Writes an example of each size and length, train and test in turn; returns how many there are."""
    examples = [
        _example(folder, task, sampling, size, length) for size in sizes_wh for length in lengths
    ]  # fmt: skip
    splits = {"anomaly-train": examples[::2], "anomaly-test": examples[1::2]}
    columns = {"messages": "messages", "videos": "videos"}
    entries = {
        name: {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS}
        for name in splits
    }
    for name, data in {**splits, "dataset_info": entries}.items():
        (folder / f"{name}.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    contract = Contract.of(task, sampling)
    Manifest(
        contract=contract,
        base_model="",
        template=family.training_template,
        examples=len(examples),
        family=family.name,
    ).write(folder)
    return len(examples)


def _example(
    folder: Path, task: Question, sampling: FrameSampling, size_wh: tuple[int, int], length: int
) -> dict[str, object]:
    width, height = size_wh
    clip = f"{width}x{height}-{length}"
    label = "alarm" if length % 4 == 0 else "normal"
    place = folder / "frames" / label / clip
    place.mkdir(parents=True)
    for index in range(length):
        (place / f"000-{index}.jpg").write_bytes(_jpeg(width, height, index, quality=sampling.jpeg_quality))
    answer = f"{task.word('alarm' if label == 'alarm' else 'normal')}，视频中有人走过。"
    return {
        "messages": [
            {"role": "user", "content": f"<video>{task.text}"},
            {"role": "assistant", "content": answer},
        ],
        "videos": [[str((place / f"000-{index}.jpg").relative_to(folder)) for index in range(length)]],
        "clip": f"{label}/{clip}.mp4",
        "label": label,
        "group": clip,
        "window": 0,
        "start_s": 0.0,
        "end_s": (length - 1) / sampling.fps,
    }


def _jpeg(width: int, height: int, index: int, *, quality: int) -> bytes:
    rng = np.random.default_rng(width * height + index)
    rough = rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    picture = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    return encode_jpeg(np.ascontiguousarray(picture, dtype=np.uint8), quality=quality)
