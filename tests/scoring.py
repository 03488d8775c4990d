"""What the tests of scoring share: a small dataset on disk, and a model that judges by brightness."""

import base64
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from judging import SAMPLING, TASK, tokenized, yes
from scripted_server import Reply, Request, ScriptedServer
from vigil.calibration import sigmoid
from vigil.frames import decode_jpeg, encode_jpeg
from vigil.manifest import Contract, Manifest
from vigil.score import Prediction

IDS = {TASK.alarm_word: [7], TASK.normal_word: [9]}


def answer(p_alarm: float | None, label: str = "alarm", *, clip: str = "c", group: str = "", **more: Any) -> Prediction:
    return Prediction(clip=clip, label=label, group=group or clip, p_alarm=p_alarm, **more)  # type: ignore[arg-type]


def write_dataset(folder: Path, clips: dict[str, list[int]], *, split: str = "test", digest: str = "d") -> Path:
    """Clips named label/name, each with the brightness (0 to 255) of its windows."""
    examples = [
        _example(folder, name, window, grey) for name, greys in clips.items() for window, grey in enumerate(greys)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"anomaly-{split}.json").write_text(json.dumps(examples))
    manifest(digest=digest).write(folder)
    return folder


def manifest(*, digest: str = "d") -> Manifest:
    return Manifest(
        contract=Contract.of(TASK, SAMPLING), base_model="", template="qwen3_vl_nothink", data_digest=digest
    )


def _example(folder: Path, name: str, window: int, grey: int) -> dict[str, Any]:
    frames = [f"frames/{name}/{window:03d}-{i}.jpg" for i in range(6)]
    (folder / frames[0]).parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((64, 64, 3), grey, np.uint8)
    for frame in frames:
        (folder / frame).write_bytes(encode_jpeg(picture, quality=90))
    label = name.partition("/")[0]
    place = {"clip": name, "label": label, "group": name, "window": window, "start_s": 2.0 * window, "end_s": 2.5}
    return {"messages": [], "videos": [frames], **place}


def by_brightness(request: Request) -> Reply:
    """P(alarm) grows with the first frame's brightness: 0.5 at 128."""
    url = next(part["video_url"]["url"] for part in request.parts if part["type"] == "video_url")
    grey = float(decode_jpeg(base64.b64decode(url.split(",")[1])).mean())
    p = sigmoid((grey - 128) / 16)
    return yes(math.log(p), math.log(1 - p))


def brightness_server(**settings: Any) -> ScriptedServer:
    server = ScriptedServer(**({"models": ["tiny"]} | settings))
    server.routes["/tokenize"] = tokenized(IDS)
    server.default = by_brightness
    return server


def slowed(reply: Reply, delay_s: float) -> Reply:
    return replace(reply, delay_s=delay_s)
