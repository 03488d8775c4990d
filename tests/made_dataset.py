"""A dataset of a few moving squares in the form that `vigil dataset build` writes, for tests that train or check."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from vigil.frames import FrameSampling, encode_jpeg
from vigil.manifest import Contract, Manifest
from vigil.questions import load_question

SAMPLING = FrameSampling(max_pixels=12_288)
SIZE_WH = (128, 96)


def make_dataset(
    folder: Path, *, examples: int = 16, frames: int = 6, name: str = "anomaly-train", val: int = 0
) -> Path:
    """Writes `examples` windows, half of them alarms (a square that jumps), `val` held-out ones, and what is around."""
    task = load_question("fight")
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_example(folder, index, frames=frames) for index in range(examples)]
    (folder / f"{name}.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    entries = {name: _entry(name)}
    if val:
        held_out = [_example(folder, index, frames=frames) for index in range(examples, examples + val)]
        (folder / "anomaly-val.json").write_text(json.dumps(held_out, ensure_ascii=False), encoding="utf-8")
        entries["anomaly-val"] = _entry("anomaly-val")
    (folder / "dataset_info.json").write_text(json.dumps(entries), encoding="utf-8")
    manifest = Manifest(
        contract=Contract.of(task, SAMPLING),
        base_model="",
        template="qwen3_vl_nothink",
        data_digest="0123456789abcdef",
        examples=examples,
    )
    manifest.write(folder)
    return folder


def _example(folder: Path, index: int, *, frames: int) -> dict[str, Any]:
    task = load_question("fight")
    label = "alarm" if index % 2 else "normal"
    clip = f"{label}/clip{index:03d}.mp4"
    random = np.random.default_rng(index)
    paths = []
    for number in range(frames):
        path = f"frames/{label}/clip{index:03d}/000-{number}.jpg"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(encode_jpeg(_picture(random, number, jumps=label == "alarm"), quality=90))
        paths.append(path)
    answer = f"{task.word(label)}，画面里有一个方块。"
    return {
        "messages": [
            {"role": "user", "content": f"<video>{task.text}"},
            {"role": "assistant", "content": answer},
        ],
        "videos": [paths],
        "clip": clip,
        "label": label,
        "group": f"g{index}",
        "window": 0,
        "start_s": 0.0,
        "end_s": 2.5,
    }


def _picture(random: "np.random.Generator", number: int, *, jumps: bool) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    width, height = SIZE_WH
    image = np.full((height, width, 3), 90, np.uint8)
    left = int(random.integers(0, width - 24)) if jumps else 20 + 4 * number
    image[36:60, left : left + 24] = 220
    return image


def _entry(name: str) -> dict[str, Any]:
    return {
        "file_name": f"{name}.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "videos": "videos"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    }
