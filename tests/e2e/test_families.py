"""A second family on the whole road: Qwen2.5-VL reads multiples of 28 px, and its positions count seconds.

Drawn clips are built into a dataset, a tiny model of the true architecture is trained on it by the real LLaMA-Factory,
merged and checked, served by the real vLLM, and found equal on both sides.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from parity_dataset import write_dataset
from qwen2_5_vl import write_qwen2_5_vl
from vigil.cli import app
from vigil.dataset.synth.writer import write_dataset as draw_clips
from vigil.errors import EnvironmentMissing, UsageError
from vigil.frames import Sampling
from vigil.judge import Judge
from vigil.manifest import read_manifest
from vigil.models import QWEN2_5_VL
from vigil.models.tokens import example_tokens, load_token_counter, window_tokens
from vigil.parity.sample import read_examples
from vigil.serving import Server, running
from vigil.tasks import Task
from vigil.training import plan_training
from vigil.verdict import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SAMPLING = Sampling(max_pixels=12_288, **QWEN2_5_VL.grid)
ON_CPU = ["use_cpu=true", "bf16=false", "max_steps=3", "logging_steps=1", "save_strategy=no", "eval_strategy=no"]
ONE_BY_ONE = ["per_device_train_batch_size=1", "dataloader_num_workers=0", "preprocessing_num_workers=1"]


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
def server(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The merged model behind a real vLLM, by its manifest alone."""
    folder = tmp_path_factory.mktemp("server")
    with running(merged, log=folder / "vllm.log", key_file=folder / "key") as ready:
        yield ready


def compared(data: Path, server: Server) -> tuple[int, dict[str, Any]]:
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


def test_a_model_is_trained_exported_and_served_as_its_family_wants(server: Server, merged: Path, data: Path) -> None:
    held, built = read_manifest(merged), read_manifest(data)
    assert (held.family, held.template, held.contract) == ("qwen2_5_vl", "qwen2_vl", built.contract)
    assert held.training["merged"]["checked"] and held.training["merged"]["moved"] > 0
    assert held.training["merged"]["smoke"]["outcome"] == "passed", held.training["merged"]["smoke"]
    assert server.plan.template is None


def test_what_is_served_is_what_was_trained(server: Server, data: Path) -> None:
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


@pytest.mark.parametrize("fps", [0.5, 3.0, 7.0])
def test_windows_of_every_rate_length_and_size_are_served_as_they_are_trained(
    fps: float, base: Path, task: Task, tmp_path: Path
) -> None:
    """Also where seconds are parts of positions, and where time runs further than rows and columns."""
    sampling = Sampling(fps=fps, frames=8, max_pixels=131_072, **QWEN2_5_VL.grid)
    sizes = ((56, 56), (112, 84), (56, 140), (476, 252))
    count = write_dataset(tmp_path / "data", task, sampling, sizes_wh=sizes, lengths=(2, 4, 6, 8), family=QWEN2_5_VL)
    with running(
        base, task=task, sampling=sampling, log=tmp_path / "vllm.log", key_file=tmp_path / "server-key"
    ) as server:
        code, found = compared(tmp_path / "data", server)
    assert (code, found["differences"], found["differing"]) == (0, 0, [])
    assert (found["examples"], found["pictures"], found["largest_pixel_difference"]) == (count, count, 0.0)


def test_another_rate_than_the_trained_one_is_told_by_positions(server: Server, task: Task, tmp_path: Path) -> None:
    sampling = Sampling(fps=1.0, max_pixels=12_288, **QWEN2_5_VL.grid)
    write_dataset(tmp_path / "data", task, sampling, sizes_wh=((112, 84),), lengths=(2, 6), family=QWEN2_5_VL)
    code, found = compared(tmp_path / "data", server)
    assert (code, found["differences"]) == (1, 1)
    (differing,) = found["differing"]
    assert differing["frames"] == 6 and differing["what"].startswith("positions")
    assert (differing["trained"], differing["served"]) == ("[0, 4, 8]", "[0, 2, 4]")


async def test_a_window_is_judged_with_probabilities_of_both_words(server: Server, data: Path, task: Task) -> None:
    example = next(each for each in read_examples(data) if len(each.frames) == SAMPLING.frames)
    async with await Judge.connect(server.endpoint(), task, SAMPLING, strict=True, min_mass=0.0) as judge:
        verdict = await judge.verdict(example.jpegs)
    assert verdict.outcome in (Outcome.ALARM, Outcome.NORMAL), verdict
    assert verdict.p_alarm is not None and 0 < verdict.p_alarm < 1
    assert verdict.p_outside is not None and 0 <= verdict.p_outside < 1


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
