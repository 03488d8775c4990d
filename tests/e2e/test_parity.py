"""What the real vLLM makes of a window is what the real LLaMA-Factory trains on."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from model_folder import altered_base
from parity_dataset import write_dataset
from vigil.cli.main import app
from vigil.environments import environment
from vigil.frames import FrameSampling, encode_jpeg
from vigil.judge.endpoint import ServerKey
from vigil.judge.model_client import chat_messages
from vigil.questions import Question
from vigil.serving.command import INSIDE, serve_command
from vigil.serving.server import RunningServer, run_server
from waiting import HANG_S

pytestmark = pytest.mark.e2e

LENGTHS = (2, 4, 6)
SMALL_WH = ((128, 96), (160, 64), (64, 64), (96, 128))
LARGE_WH = ((480, 256), (416, 288))
LARGE = FrameSampling(max_pixels=131_072)


@pytest.fixture(scope="module")
def large_server(task: Question, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The tiny base behind a vLLM that is told of frames ten times as large, with the context of a real model."""
    folder = tmp_path_factory.mktemp("large")
    log, key_file = folder / "vllm.log", folder / "key"
    base = altered_base(folder / "base", max_positions=16_384)
    with run_server(base, task=task, sampling=LARGE, log=log, key_file=key_file) as ready:
        yield ready


def _run(data: Path, server: RunningServer, *words: str) -> tuple[int, str, dict[str, Any]]:
    (data / "key").write_text(server.key)
    arguments = ["parity", "--data", str(data), "--url", server.url, "--key-file", str(data / "key"), *words]
    done = CliRunner().invoke(app, [*arguments, "--json", str(data / "parity.json")])
    assert (data / "parity.json").is_file(), (done.output, done.exception)
    return done.exit_code, done.output.splitlines()[-1], json.loads((data / "parity.json").read_text())


def test_windows_of_every_length_and_size_are_served_as_they_are_trained(
    large_server: RunningServer, task: Question, tmp_path: Path
) -> None:
    sizes_wh = (*SMALL_WH, *LARGE_WH)
    count = write_dataset(tmp_path, task, LARGE, sizes_wh=sizes_wh, lengths=LENGTHS)
    code, said, found = _run(tmp_path, large_server, "--all")
    assert (code, said) == (0, f"parity: {count} examples, 0 differences")
    assert (found["differences"], found["pictures"], found["largest_pixel_difference"]) == (0, count, 0.0)
    assert len(found["grids"]) == len(sizes_wh) * len(LENGTHS)


def test_larger_frames_arrive_as_they_are_trained_and_another_rate_is_told_by_its_first_token(
    large_server: RunningServer, task: Question, tmp_path: Path
) -> None:
    sampling = FrameSampling(fps=4, max_pixels=4 * LARGE.max_pixels)
    write_dataset(tmp_path, task, sampling, sizes_wh=((960, 512), (128, 96)), lengths=(6,))
    code, said, found = _run(tmp_path, large_server)
    assert (code, said) == (1, "parity: 2 examples, 2 differences")
    for differing, tokens in zip(found["differing"], (1507, 103), strict=True):
        assert (differing["what"], differing["at"]) == (f"tokens ({tokens} trained, {tokens} served)", 6)
        assert differing["trained"].startswith("1 seconds>") and differing["served"].startswith("2 seconds>")


@pytest.mark.parametrize("frames", [6, 30, 78])
def test_a_longer_look_than_a_window_is_not_shrunk(large_server: RunningServer, tmp_path: Path, frames: int) -> None:
    """By vLLM's own processor as it is started, and by the tokens that the server itself counts."""
    rng = np.random.default_rng(frames)
    image = rng.integers(0, 255, (LARGE_WH[0][1], LARGE_WH[0][0], 3), np.uint8)
    jpegs = [encode_jpeg(image, quality=90)] * frames
    tokens = frames // 2 * (480 // 32) * (256 // 32)
    assert _grid(jpegs, large_server, tmp_path) == [frames // 2, 256 // 16, 480 // 16]
    shown, text_alone = _used(large_server, jpegs), _used(large_server, [])
    assert tokens + 8 * frames // 2 <= shown - text_alone <= tokens + 12 * frames // 2


def _grid(jpegs: list[bytes], server: RunningServer, folder: Path) -> list[int]:
    """`video_grid_thw` of frames, from the processor with the sizes of the server's own command line."""
    runtime = environment("serve")
    argv = serve_command(server.plan, runtime, ServerKey(value="k", origin="k")).argv
    kwargs = json.loads(argv[argv.index("--mm-processor-kwargs") + 1])["videos_kwargs"]
    names = [folder / f"{index}.jpg" for index in range(len(jpegs))]
    for name, jpeg in zip(names, jpegs, strict=True):
        name.write_bytes(jpeg)
    asked, told = folder / "asked.json", folder / "told.json"
    asked.write_text(
        json.dumps(
            {"model": str(server.plan.model.path), "videos_kwargs": kwargs, "videos": [[str(name) for name in names]]}
        )
    )
    subprocess.run([runtime.python, INSIDE / "vigil_pixels.py", asked, told], check=True, env=runtime.variables())
    grid: list[int] = json.loads(told.read_text())[0]["grid_thw"]
    return grid


def _used(server: RunningServer, jpegs: list[bytes]) -> int:
    asked = chat_messages(jpegs, "?", media="video", fps=2.0) if jpegs else [{"role": "user", "content": "?"}]
    body = {"model": server.model, "messages": asked, "max_tokens": 1}
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = httpx.post(f"{server.url}/chat/completions", json=body, headers=headers, timeout=HANG_S, trust_env=False)
    used: int = answer.raise_for_status().json()["usage"]["prompt_tokens"]
    return used
