"""What the real vLLM makes of a window is what the real LLaMA-Factory trains on."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parity_dataset import write_dataset
from vigil.cli import app
from vigil.frames import Sampling
from vigil.parity import compare_dataset
from vigil.serving import Server, running
from vigil.tasks import Task
from vigil.tiny import BASE_FOLDER

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LENGTHS = (2, 4, 6)
SMALL_WH = ((128, 96), (160, 64), (64, 64), (96, 128))


def _run(data: Path, server: Server, *words: str) -> tuple[int, str]:
    key = data / "key"
    key.write_text(server.key)
    arguments = ["parity", "--data", str(data), "--url", server.url, "--key-file", str(key), *words]
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.output


def test_windows_of_every_length_and_size_are_served_as_they_are_trained(
    server: Server, task: Task, sampling: Sampling, tmp_path: Path
) -> None:
    count = write_dataset(tmp_path, task, sampling, sizes_wh=SMALL_WH, lengths=LENGTHS)
    code, output = _run(tmp_path, server, "--all", "--json", str(tmp_path / "parity.json"))
    assert (code, output.splitlines()[-1]) == (0, f"parity: {count} examples, 0 differences")
    found = json.loads((tmp_path / "parity.json").read_text())
    assert (found["differences"], found["pictures"], found["largest_pixel_difference"]) == (0, count, 0.0)
    assert len(found["grids"]) == len(SMALL_WH) * len(LENGTHS)


def test_large_frames_are_served_as_they_are_trained(task: Task, tmp_path: Path) -> None:
    sampling = Sampling(max_pixels=131_072)
    (tmp_path / "data").mkdir()
    count = write_dataset(tmp_path / "data", task, sampling, sizes_wh=((480, 256), (416, 288)), lengths=LENGTHS)
    with running(
        BASE_FOLDER, task=task, sampling=sampling, log=tmp_path / "vllm.log", key_file=tmp_path / "key"
    ) as big:
        report = asyncio.run(compare_dataset(tmp_path / "data", big.endpoint()))
    assert (report.examples, report.differing) == (count, ())
    assert report.largest_pixel_difference == 0.0


def test_larger_frames_and_another_rate_are_told_by_their_first_token(
    server: Server, task: Task, tmp_path: Path
) -> None:
    sampling = Sampling(fps=4, max_pixels=131_072)
    write_dataset(tmp_path, task, sampling, sizes_wh=((480, 256), (128, 96)), lengths=(6,))
    code, output = _run(tmp_path, server, "--json", str(tmp_path / "parity.json"))
    assert (code, output.splitlines()[-1]) == (1, "parity: 2 examples, 2 differences")
    large, fast = json.loads((tmp_path / "parity.json").read_text())["differing"]
    assert large["what"] == "tokens (424 trained, 88 served)"
    assert (fast["what"], fast["at"]) == ("tokens (100 trained, 100 served)", 6)
    assert fast["trained"].startswith("1 seconds>") and fast["served"].startswith("2 seconds>")
