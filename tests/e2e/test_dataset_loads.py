"""The built dataset through LLaMA-Factory's own loader: every example arrives, of the length that was foretold."""

import json
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.extract import ExtractSettings
from vigil.frames import FrameSampling
from vigil.models import QWEN3_VL
from vigil.models.tokens import example_tokens, load_token_counter
from vigil.questions import load_question
from waiting import HANG_S

ROOT = Path(__file__).resolve().parents[2]
TRAIN_PYTHON = ROOT / ".venv-train/bin/python"
TINY_BASE = ROOT / "src/vigil/tiny/base"
SAMPLING = FrameSampling(max_pixels=12288)


def write_noise(path: Path, *, seconds: float, seed: int, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(round(seconds * 10)):
            coarse = random.integers(0, 255, (size[1] // 16, size[0] // 16, 3), dtype=np.uint8)
            picture = np.kron(coarse, np.ones((16, 16, 1), np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.mark.e2e
@pytest.mark.skipif(not TRAIN_PYTHON.exists(), reason="needs scripts/setup.sh train")
def test_llamafactory_loads_every_example_as_it_was_built(tmp_path: Path) -> None:
    sizes = ((320, 240), (640, 352), (192, 320))
    for number, seconds in enumerate((0.3, 1.3, 2.0, 2.4, 4.2, 9.0)):
        for offset, folder in ((0, "fight"), (50, "normal")):
            size = sizes[number % 3]
            write_noise(tmp_path / f"clips/{folder}/{number}.mp4", seconds=seconds, seed=number + offset, size=size)
    task = load_question("fight")
    settings = ExtractSettings(sampling=SAMPLING, short="both")
    report = build_dataset(BuildSettings(clips=tmp_path / "clips", out=tmp_path / "data", task=task, extract=settings))

    told = trained_prompts(tmp_path)

    examples = report.examples["train"]
    assert len(told) == len(examples)
    assert [[Path(frame).relative_to(tmp_path / "data").as_posix() for frame in each["frames"]] for each in told] == [
        list(example.frames) for example in examples
    ]
    tokenizer = load_token_counter(TINY_BASE)
    words = {label: tokenizer.encode(task.word(label)).ids for label in ("alarm", "normal")}
    for each, example in zip(told, examples, strict=True):
        t, h, w = each["grid_thw"]
        counted = example_tokens(
            QWEN3_VL,
            example.answer,
            example.question,
            len(example.frames),
            (w * 16, h * 16),
            fps=SAMPLING.fps,
            counter=tokenizer,
        )
        answer = tokenizer.count(f"{example.answer}<|im_end|>\n")
        assert t == len(example.frames) // 2
        assert w * 16 * h * 16 <= SAMPLING.max_pixels
        assert len(each["ids"]) == counted - answer
        assert each["answer"] == words[example.label][0]


def trained_prompts(folder: Path) -> list[dict]:
    settings = {
        "model_name_or_path": str(TINY_BASE),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "template": "qwen3_vl_nothink",
        "dataset": "anomaly-train",
        "dataset_dir": str(folder / "data"),
        "media_dir": str(folder / "data"),
        "output_dir": str(folder / "out"),
        "video_fps": SAMPLING.fps,
        "video_maxlen": SAMPLING.frames,
        "video_max_pixels": SAMPLING.max_pixels,
        "video_min_pixels": 4096,
        "cutoff_len": 2048,
        "overwrite_cache": True,
        "report_to": "none",
    }
    (folder / "settings.json").write_text(json.dumps({"settings": settings, "positions": False}))
    script = ROOT / "src/vigil/training_env/trained_prompts.py"
    command = [TRAIN_PYTHON, script, folder / "settings.json", folder / "told.json"]
    subprocess.run(command, check=True, timeout=HANG_S)
    return json.loads((folder / "told.json").read_text())
