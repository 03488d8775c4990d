"""What the real vLLM makes of a window is what the real LLaMA-Factory trains on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from parity_dataset import write_dataset
from vigil.cli import app
from vigil.frames import Sampling
from vigil.serving import Server, running
from vigil.tasks import Task
from vigil.tiny import BASE_FOLDER

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LENGTHS = (2, 4, 6)
SMALL_WH = ((128, 96), (160, 64), (64, 64), (96, 128))
LARGE_WH = ((480, 256), (416, 288))
LARGE = Sampling(max_pixels=131_072)


@pytest.fixture(scope="module")
def large_server(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The tiny base behind a vLLM that is told of frames ten times as large."""
    folder = tmp_path_factory.mktemp("large")
    log, key_file = folder / "vllm.log", folder / "key"
    with running(BASE_FOLDER, task=task, sampling=LARGE, log=log, key_file=key_file) as ready:
        yield ready


def _run(data: Path, server: Server, *words: str) -> tuple[int, str, dict[str, Any]]:
    (data / "key").write_text(server.key)
    arguments = ["parity", "--data", str(data), "--url", server.url, "--key-file", str(data / "key"), *words]
    done = CliRunner().invoke(app, [*arguments, "--json", str(data / "parity.json")])
    return done.exit_code, done.output.splitlines()[-1], json.loads((data / "parity.json").read_text())


def test_windows_of_every_length_and_size_are_served_as_they_are_trained(
    large_server: Server, task: Task, tmp_path: Path
) -> None:
    sizes_wh = (*SMALL_WH, *LARGE_WH)
    count = write_dataset(tmp_path, task, LARGE, sizes_wh=sizes_wh, lengths=LENGTHS)
    code, said, found = _run(tmp_path, large_server, "--all")
    assert (code, said) == (0, f"parity: {count} examples, 0 differences")
    assert (found["differences"], found["pictures"], found["largest_pixel_difference"]) == (0, count, 0.0)
    assert len(found["grids"]) == len(sizes_wh) * len(LENGTHS)


def test_larger_frames_and_another_rate_are_told_by_their_first_token(
    large_server: Server, task: Task, tmp_path: Path
) -> None:
    sampling = Sampling(fps=4, max_pixels=4 * LARGE.max_pixels)
    write_dataset(tmp_path, task, sampling, sizes_wh=((960, 512), (128, 96)), lengths=(6,))
    code, said, found = _run(tmp_path, large_server)
    assert (code, said) == (1, "parity: 2 examples, 2 differences")
    large, fast = found["differing"]
    assert large["what"] == "tokens (1504 trained, 424 served)"
    assert (fast["what"], fast["at"]) == ("tokens (100 trained, 100 served)", 6)
    assert fast["trained"].startswith("1 seconds>") and fast["served"].startswith("2 seconds>")
