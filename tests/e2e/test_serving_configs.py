"""The real vLLM understands every command line that the shipped settings make."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from vigil.config import config_root
from vigil.environments import Environment, environment
from vigil.frames import FrameSampling
from vigil.judge.endpoint import ServerKey
from vigil.questions import Question
from vigil.serving.command import serve_command
from vigil.serving.media_domains import CLOSED
from vigil.serving.plan import ContractOverrides, plan_server
from vigil.serving.settings import load_serve_settings
from vigil.tiny import BASE_FOLDER

pytestmark = pytest.mark.e2e

NAMES = sorted(file.stem for file in (config_root() / "serve").glob("*.yaml"))
FP8 = ("--quantization", "fp8")


@pytest.fixture(scope="module")
def understood(
    tmp_path_factory: pytest.TempPathFactory, task: Question, sampling: FrameSampling
) -> dict[str, dict[str, Any]]:
    """What vLLM makes of each settings file, and of the FP8 that `gpu_80gb` speaks of."""
    folder: Path = tmp_path_factory.mktemp("commands")
    runtime = environment("serve")
    commands = {name: _words(name, folder, runtime, ContractOverrides.of(task, sampling)) for name in NAMES}
    commands["fp8"] = _words("gpu_80gb", folder, runtime, ContractOverrides.of(task, sampling), *FP8)
    done = subprocess.run(
        [runtime.python, Path(__file__).with_name("parse_serve_commands.py")],
        input=json.dumps(commands),
        env=runtime.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return told


def _words(name: str, folder: Path, runtime: Environment, overrides: ContractOverrides, *extra: str) -> list[str]:
    settings = load_serve_settings(name, runtime)
    plan = plan_server(BASE_FOLDER, settings=settings, overrides=overrides, templates=folder, extra=extra)
    return list(serve_command(plan, runtime, ServerKey(value="k", origin="k")).argv[2:])


@pytest.mark.parametrize("name", NAMES)
def test_each_file_of_settings_is_understood_and_nothing_is_open(
    understood: dict[str, dict[str, Any]], name: str
) -> None:
    told = understood[name]
    assert told["allowed_media_domains"] == [CLOSED]
    assert (told["generation_config"], told["middleware"]) == ("vllm", ["vigil_front.Front"])
    assert told["served_model_name"] == ["base"]
    assert told["pictures"]["videos_kwargs"]["size"]["longest_edge"] == told["max_model_len"] * 2048


def test_the_large_card_has_several_web_processes_and_fp8_is_a_flag(understood: dict[str, dict[str, Any]]) -> None:
    told = understood["gpu_80gb"]
    assert (told["api_server_count"], told["max_num_seqs"], told["max_num_batched_tokens"]) == (4, 256, 32_768)
    assert (told["quantization"], understood["fp8"]["quantization"]) == (None, "fp8")
