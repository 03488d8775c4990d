"""Runs on the training environment's Python: has LLaMA-Factory itself read each YAML; prints what it understood.

    .venv-train/bin/python tests/e2e/parse_configs.py CONFIG.yaml ...

The imports are paid once; each config is then read in a fork of its own, since a process has only one device state.
"""

import dataclasses
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import yaml
from llamafactory.hparams import get_train_args
from llamafactory.hparams.parser import _TRAIN_ARGS

SHOWN = ("template", "cutoff_len", "video_fps", "video_maxlen", "video_max_pixels", "lora_rank", "quantization_bit",
         "learning_rate", "output_dir", "freeze_vision_tower", "deepspeed", "ray_num_workers")  # fmt: skip


def understood(path: str) -> dict[str, Any]:
    settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if settings.get("deepspeed"):
        alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29531"}
        os.environ.update(alone)
    if settings.get("ray_num_workers"):
        os.environ["USE_RAY"] = "1"
    parts = get_train_args(settings)
    merged = {name: value for part in parts for name, value in vars(part).items()}
    return {name: merged.get(name) for name in SHOWN}


def in_a_fork(path: str) -> dict[str, Any]:
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        try:
            answer = understood(path)
        except BaseException as error:  # noqa: BLE001 - a child must never run the parent's code
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(write_end, "w") as pipe:
            json.dump(answer, pipe, default=str)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        answer = json.load(pipe)
    os.wait()
    return dict(answer)


if __name__ == "__main__":
    keys = sorted({field.name for part in _TRAIN_ARGS for field in dataclasses.fields(part) if field.init})
    print(json.dumps({"keys": keys, "configs": {path: in_a_fork(path) for path in sys.argv[1:]}}))
