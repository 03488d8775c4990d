"""A model is run once where there is room for it, and only there."""

from pathlib import Path

import pytest

from model_folder import contract, make_environment, make_model
from vigil.environments import environment
from vigil.models import QWEN3_VL
from vigil.models.smoke_test import PROGRAM_BYTES, smoke_test


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, and a training environment whose Python says that it passed."""
    python = make_environment(tmp_path / "env", distribution="torch")
    python.write_text(
        '#!/bin/sh\necho "$2 $3" >> $(dirname $0)/asked\n' + """echo '{"outcome": "passed", "words": "ran"}'\n"""
    )
    python.chmod(0o755)
    monkeypatch.setenv("VIGIL_TRAIN_PYTHON", str(python))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return make_model(tmp_path / "model")


def _asked(model: Path) -> str:
    asked = model.parent / "env" / "bin" / "asked"
    return asked.read_text() if asked.exists() else ""


def test_a_model_runs_where_there_is_room(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigil.models.smoke_test.free_memory_bytes", lambda: PROGRAM_BYTES + 100_000)
    assert str(smoke_test(model, contract(), QWEN3_VL, environment("train"))) == "passed: ran"
    assert f"{model} " in _asked(model)
    assert '"cpu_dtype": ""' not in _asked(model)


def test_without_room_nothing_is_started(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigil.models.smoke_test.free_memory_bytes", lambda: PROGRAM_BYTES)
    found = smoke_test(model, contract(), QWEN3_VL, environment("train"))
    assert (found.outcome, _asked(model)) == ("skipped", "")
    assert found.words == "running it takes 0.6 GB of memory, and 0.6 GB are free"


def test_a_gpu_may_have_the_room_that_the_cpu_lacks(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigil.models.smoke_test.free_memory_bytes", lambda: PROGRAM_BYTES)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert smoke_test(model, contract(), QWEN3_VL, environment("train")).outcome == "passed"
    assert '"cpu_dtype": ""' in _asked(model)
