"""A second family on the whole road: Qwen2.5-VL reads multiples of 28 px, and its positions count seconds.

Drawn clips are built into a dataset, a tiny model of the true architecture is trained on it by the real LLaMA-Factory,
merged and checked, served by the real vLLM, and found equal on both sides.
"""

import asyncio
import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from qwen2_5_vl import write_qwen2_5_vl
from vigil.cli.main import app
from vigil.environments import environment
from vigil.errors import EnvironmentMissing, UsageError
from vigil.frames import FrameSampling
from vigil.judge import Judge
from vigil.manifest import read_manifest
from vigil.models import QWEN2_5_VL, QWEN3_VL
from vigil.models.tokens import example_tokens, load_token_counter, window_tokens
from vigil.parity.examples import Example, read_examples
from vigil.parity.trained import SCRIPT
from vigil.questions import Question
from vigil.serving.server import RunningServer, run_server
from vigil.synth.dataset import write_synth_dataset as draw_clips
from vigil.tiny import BASE_FOLDER
from vigil.training import plan_training
from vigil.verdict import Outcome, Verdict

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SAMPLING = FrameSampling(max_pixels=12_288, **QWEN2_5_VL.grid)
ON_CPU = ["use_cpu=true", "bf16=false", "max_steps=3", "logging_steps=1", "save_strategy=no", "eval_strategy=no"]
ONE_BY_ONE = ["per_device_train_batch_size=1", "dataloader_num_workers=0", "preprocessing_num_workers=1"]

VIDEOS = list(itertools.product((0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 7.0, 12.5), (1, 2, 3, 15), ((4, 4), (6, 8), (34, 18))))
"""Frames a second, groups, and rows and columns of patches."""

TRAINED_POSITIONS = """
import json, sys
from types import SimpleNamespace
import torch
sys.path.insert(0, sys.argv[2])
from positions import rope_index
vision = SimpleNamespace(spatial_merge_size=2, tokens_per_second=2)
model = SimpleNamespace(config=SimpleNamespace(vision_config=vision))
told = []
for fps, groups, (rows, columns) in json.loads(sys.argv[1]):
    count = groups * rows * columns // 4
    types = torch.tensor([[0] * 5 + [2] * count + [0] * 3 + [9]])
    mask = torch.tensor([[1] * (count + 8) + [0]])
    grid = torch.tensor([[groups, rows, columns]])
    made, ahead = rope_index(model, types, types, None, grid, [2 / fps], mask)
    told.append([made[:, 0, :-1].tolist(), ahead.item()])
print(json.dumps(told))
"""
SERVED_POSITIONS = """
import json, sys
from functools import partial
from types import SimpleNamespace
import torch
from vllm.model_executor.models.qwen2_5_vl import Qwen2_5_VLForConditionalGeneration as Model
vision = SimpleNamespace(spatial_merge_size=2, tokens_per_second=2)
model = SimpleNamespace(config=SimpleNamespace(vision_config=vision))
model.iter_mm_grid_thw = partial(Model.iter_mm_grid_thw, model)
told = []
for fps, groups, (rows, columns) in json.loads(sys.argv[1]):
    count = groups * rows * columns // 4
    data = {"video_grid_thw": torch.tensor([groups, rows, columns]), "second_per_grid_ts": torch.tensor(2 / fps)}
    held = {key: SimpleNamespace(data=value) for key, value in data.items()}
    feature = SimpleNamespace(modality="video", mm_position=SimpleNamespace(offset=5), data=held)
    made, ahead = Model.get_mrope_input_positions(model, [0] * (count + 8), [feature])
    told.append([made.tolist(), ahead])
print(json.dumps(told))
"""

COUNTED = """
import json, sys
import numpy as np
from transformers import AutoVideoProcessor
told = []
for folder, size, videos in json.loads(sys.argv[1]):
    processor = AutoVideoProcessor.from_pretrained(folder)
    for frames, (width, height) in videos:
        video = np.zeros((frames, height, width, 3), np.uint8)
        made = processor(videos=[video], do_sample_frames=False, return_tensors="np", size=size)
        grid = np.asarray(made["video_grid_thw"])[0]
        told.append(int(grid.prod()) // processor.merge_size**2)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that is trained on."""
    try:
        return write_qwen2_5_vl(tmp_path_factory.mktemp("models") / "Qwen2.5-VL-tiny")
    except EnvironmentMissing as missing:
        pytest.fail(str(missing))


def run(*words: str | Path) -> str:
    """A command of `vigil`, which must succeed, and what it said."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.output[-2000:], done.exception)
    return done.output


@pytest.fixture(scope="module")
def data(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn clips, cut for that model."""
    folder = tmp_path_factory.mktemp("dataset")
    draw_clips(folder / "clips", clips=8, seed=3, fps=12, size_wh=(192, 144), difficulty=0.2, workers=1)
    run(
        *("dataset", "build", folder / "clips", "--out", folder / "data", "--base", base),
        *("--max-pixels", "12288", "--jobs", "1", "--val-share", "0", "--calibration-share", "0"),
    )
    return folder / "data"


@pytest.fixture(scope="module")
def merged(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that three steps of LoRA and an export make of it."""
    folder = tmp_path_factory.mktemp("saves")
    words = [f"model_name_or_path={base}", f"dataset_dir={data}", f"output_dir={folder / 'lora'}"]
    run("train", "qwen2_5vl_3b_lora", *words, *ON_CPU, *ONE_BY_ONE)
    run("export", folder / "lora", "--out", folder / "merged")
    return folder / "merged"


@pytest.fixture(scope="module")
def server(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The merged model behind a real vLLM, by its manifest alone; in the precision that it is compared in."""
    folder = tmp_path_factory.mktemp("server")
    with run_server(merged, log=folder / "vllm.log", key_file=folder / "key", extra=("--dtype", "float32")) as ready:
        yield ready


def compared(data: Path, server: RunningServer) -> tuple[int, dict[str, Any]]:
    """What `vigil parity` finds between a dataset and a server, and how it ends."""
    key, told = data.parent / "key", data.parent / "parity.json"
    key.write_text(server.key)
    words = ["parity", "--data", data, "--url", server.url, "--key-file", key, "--all", "--json", told]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert told.is_file(), (done.output, done.exception)
    return done.exit_code, json.loads(told.read_text())


def test_a_dataset_is_cut_in_the_grid_of_its_family(data: Path) -> None:
    manifest = read_manifest(data)
    assert (manifest.family, manifest.template) == ("qwen2_5_vl", "qwen2_vl")
    assert manifest.contract.sampling == SAMPLING
    run("dataset", "check", data)


def test_a_model_is_trained_exported_and_served_as_its_family_wants(
    server: RunningServer, merged: Path, data: Path
) -> None:
    held, built = read_manifest(merged), read_manifest(data)
    assert (held.family, held.template, held.contract) == ("qwen2_5_vl", "qwen2_vl", built.contract)
    assert held.training["merged"]["checked"] and held.training["merged"]["moved"] > 0
    assert held.training["merged"]["smoke"]["outcome"] == "passed", held.training["merged"]["smoke"]
    assert server.plan.template is None


def test_what_is_served_is_what_was_trained(server: RunningServer, data: Path) -> None:
    code, found = compared(data, server)
    assert (code, found["differences"], found["differing"]) == (0, 0, [])
    assert found["examples"] == found["pictures"] > 8 and found["largest_pixel_difference"] == 0.0
    assert {grid[1:] for grid in map(tuple, found["grids"])} == {(6, 8)}
    tokenizer, questions = load_token_counter(server.plan.model.path), read_examples(data)
    counted = [_prompt_tokens(example.question, len(example.frames), tokenizer) for example in questions]
    assert sum(counted) == found["tokens"]
    contract = read_manifest(data).contract
    assert max(counted) <= window_tokens(QWEN2_5_VL, contract.sampling, contract.question)


def _prompt_tokens(question: str, frames: int, tokenizer: Any) -> int:
    whole = example_tokens(QWEN2_5_VL, "", question, frames, (112, 84), fps=2.0, counter=tokenizer)
    return whole - tokenizer.count("<|im_end|>\n")


def _numbered(environment_name: str, script: str) -> list[Any]:
    """What a script of another environment prints of the positions of every video in `VIDEOS`."""
    runtime = environment(environment_name)
    done = subprocess.run(
        [str(runtime.python), "-c", script, json.dumps(VIDEOS), str(SCRIPT.parent)],
        env=runtime.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize("environment_name", ["train", "serve"])
def test_pictures_are_counted_as_the_processors_of_both_environments_make_them(
    environment_name: str, base: Path
) -> None:
    """Sizes as frames are cut to, from the smallest to those of a large film, under the bounds of a server."""
    asked, expected = [], []
    for folder, family in ((BASE_FOLDER, QWEN3_VL), (base, QWEN2_5_VL)):
        caps = [FrameSampling(max_pixels=cap, **family.grid) for cap in (4096, 12_288, 131_072)]
        sizes = {cap.fit(*shape) for cap in caps for shape in ((1920, 1080), (640, 480), (90, 160), (3000, 40))}
        videos = [(frames, size) for frames in (2, 6) for size in sorted(sizes)]
        asked.append((str(folder), family.video_size(7680), videos))
        expected += [family.visual_tokens(frames, size) for frames, size in videos]
    runtime = environment(environment_name)
    done = subprocess.run(
        [str(runtime.python), "-c", COUNTED, json.dumps(asked)],
        env=runtime.variables() | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == expected


def test_videos_of_every_rate_length_and_size_are_numbered_as_vllm_numbers_them() -> None:
    """Also where their seconds are fractions, and where time runs further than rows and columns."""
    trained, served = _numbered("train", TRAINED_POSITIONS), _numbered("serve", SERVED_POSITIONS)
    assert len(trained) == len(VIDEOS)
    assert [video for video, ours, theirs in zip(VIDEOS, trained, served, strict=True) if ours != theirs] == []


async def _verdict(server: RunningServer, task: Question, example: Example) -> Verdict:
    async with await Judge.connect(server.endpoint(), task, SAMPLING, strict=True, min_label_probability=0.0) as judge:
        return await judge.verdict(example.jpegs)


def test_a_window_is_judged_with_the_probabilities_that_training_computes(
    server: RunningServer, data: Path, task: Question
) -> None:
    example = next(each for each in read_examples(data) if len(each.frames) == SAMPLING.frames)
    verdict = asyncio.run(_verdict(server, task, example))
    assert verdict.outcome in (Outcome.ALARM, Outcome.NORMAL), verdict
    assert verdict.p_alarm is not None and 0 < verdict.p_alarm < 1
    assert verdict.p_outside is not None and 0 <= verdict.p_outside < 1
    expected = _computed(server.plan.model.path, example, task)
    assert verdict.p_raw == pytest.approx(expected["mended"], abs=1e-4)
    assert abs(expected["mended"] - expected["plain"]) > 1e-3, "the positions make no difference to this model"


def _computed(model: Path, example: Example, task: Question) -> dict[str, float]:
    """P(alarm) by transformers, with the positions of training and with those of transformers itself."""
    tokenizer, runtime = load_token_counter(model), environment("train")
    asked = {
        "model": str(model),
        "prompt": QWEN2_5_VL.processor_prompt(example.question),
        "frames": [str(frame) for frame in example.frames],
        "fps": SAMPLING.fps,
        "tokens": [tokenizer.ids(task.word(label))[0] for label in ("alarm", "normal")],
        "scripts": str(SCRIPT.parent),
    }
    script = Path(__file__).with_name("next_token.py")
    done = subprocess.run(
        [str(runtime.python), str(script), json.dumps(asked)],
        env=runtime.variables() | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    return {name: alarm / (alarm + normal) for name, (alarm, normal) in told.items()}


def test_a_dataset_of_one_family_does_not_train_a_model_of_another(data: Path, base: Path, tmp_path: Path) -> None:
    words = [f"dataset_dir={data}", f"output_dir={tmp_path}", *ON_CPU]
    with pytest.raises(UsageError, match=r"was built for Qwen2\.5-VL .*--family qwen3_vl"):
        plan_training("tiny_lora", words)


def test_several_trainers_are_refused_where_nobody_would_mend_their_positions(
    data: Path, base: Path, tmp_path: Path
) -> None:
    words = [f"model_name_or_path={base}", f"dataset_dir={data}", f"output_dir={tmp_path}", "ray_num_workers=2"]
    with pytest.raises(UsageError, match="in one process only"):
        plan_training("qwen2_5vl_3b_lora", [*words, *ON_CPU])
