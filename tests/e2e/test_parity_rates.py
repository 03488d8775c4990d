"""Rates and lengths other than 2 fps and 6 frames: what is served is what is trained on."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parity_dataset import write_dataset
from vigil.cli.main import app
from vigil.frames import FrameSampling
from vigil.questions import Question
from vigil.serving.server import run_server
from vigil.tiny import BASE_FOLDER

pytestmark = [pytest.mark.e2e, pytest.mark.long]


@pytest.mark.parametrize("fps", [0.5, 1.5, 3.0, 7.0])
def test_windows_of_another_rate_and_length_are_served_as_they_are_trained(
    fps: float, task: Question, tmp_path: Path
) -> None:
    sampling = FrameSampling(fps=fps, frames=8, max_pixels=12_288)
    data = tmp_path / "data"
    count = write_dataset(data, task, sampling, sizes_wh=((128, 96), (64, 64)), lengths=(2, 4, 6, 8))
    with run_server(
        BASE_FOLDER, task=task, sampling=sampling, log=tmp_path / "vllm.log", key_file=tmp_path / "key"
    ) as server:
        words = ["--data", str(data), "--url", server.url, "--key-file", str(tmp_path / "key"), "--all"]
        done = CliRunner().invoke(app, ["parity", *words, "--json", str(tmp_path / "parity.json")])
    found = json.loads((tmp_path / "parity.json").read_text())
    assert done.output.splitlines()[-1] == f"parity: {count} examples, 0 differences", found["differing"][:2]
    assert (found["differences"], found["pictures"], found["largest_pixel_difference"]) == (0, count, 0.0)
