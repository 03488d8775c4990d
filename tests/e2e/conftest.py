"""What the end-to-end tests need beside the server of `tests/conftest.py`."""

import subprocess
from pathlib import Path

import pytest

from vigil.environments import environment
from vigil.errors import EnvironmentMissing
from vigil.frames import FrameSampling
from vigil.manifest import Contract, Manifest
from vigil.questions import Question
from vigil.tiny import BASE_FOLDER

ADAPTER_SCRIPT = """
import sys
from peft import LoraConfig, get_peft_model
from transformers import Qwen3VLForConditionalGeneration
base, folder = sys.argv[1:]
model = Qwen3VLForConditionalGeneration.from_pretrained(base)
targets = r".*language_model.*\\.(q_proj|v_proj|o_proj|down_proj)"
config = LoraConfig(r=8, lora_alpha=16, target_modules=targets, init_lora_weights=False)
get_peft_model(model, config).save_pretrained(folder)
"""


@pytest.fixture(scope="session")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory, task: Question, sampling: FrameSampling) -> Path:
    """A random LoRA adapter for the tiny base, as peft writes it, with a manifest beside it."""
    folder: Path = tmp_path_factory.mktemp("adapter")
    try:
        runtime = environment("train")
    except EnvironmentMissing as missing:
        pytest.fail(str(missing))
    made = subprocess.run(
        [str(runtime.program("python")), "-c", ADAPTER_SCRIPT, str(BASE_FOLDER), str(folder)],
        env=runtime.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-2000:]
    contract = Contract.of(task, sampling)
    Manifest(contract=contract, base_model="tiny", template="qwen3_vl_nothink").write(folder)
    return folder
