"""Smoke test of a merged model: runs it once on one window and question, if there is enough memory.

It does not check the weights, which were compared one by one before (`merge_check`). It finds other faults: a missing
tokenizer, a configuration that does not fit, overflowing values.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vigil.environments import Environment, fast_cpu_dtype
from vigil.gpus import gpu_count
from vigil.manifest import Contract
from vigil.models import ModelFamily
from vigil.models.merge_capacity import free_memory_bytes

SCRIPT = Path(__file__).parents[1] / "training_env" / "smoke_test.py"
LOADED_FACTOR = {"bfloat16": 1.2, "float32": 2.3}
"""Memory of a loaded model by dtype, relative to its bfloat16 files."""

PROGRAM_BYTES = 600_000_000
"""Memory of torch and transformers before a model is loaded."""

TIMEOUT_S = 1800.0
FRAMES = 6
CELLS_WH = (4, 3)
"""The test window: small, with complete frame groups and patches for every family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeTest:
    """The outcome of a smoke test and a sentence about it."""

    outcome: Literal["passed", "skipped", "failed"]
    words: str

    def __str__(self) -> str:
        return f"{self.outcome}: {self.words}"


def smoke_test(model: Path, contract: Contract, family: ModelFamily, trainer: Environment) -> SmokeTest:
    """Runs a model once on a GPU with enough memory, else on the CPU; skipped if neither has enough."""
    weights_bytes = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    dtype = fast_cpu_dtype()
    needed_bytes = int(weights_bytes * LOADED_FACTOR[dtype]) + PROGRAM_BYTES
    free_bytes = free_memory_bytes()
    has_room = free_bytes is None or free_bytes >= needed_bytes
    if not has_room and not gpu_count():
        return SmokeTest(outcome="skipped", words=no_room(needed_bytes, free_bytes or 0))
    request = {
        "prompt": family.processor_prompt(contract.question),
        "frames": FRAMES,
        "size_wh": [columns_or_rows * family.pixel_multiple for columns_or_rows in CELLS_WH],
        "words": [*contract.alarm_words, *contract.normal_words],
        "alarm_words": len(contract.alarm_words),
        "cpu_dtype": dtype if has_room else "",
        "gpu_bytes": int(weights_bytes * LOADED_FACTOR["bfloat16"]) + PROGRAM_BYTES,
    }
    return _run(model, json.dumps(request), trainer)


def no_room(needed_bytes: int, free_bytes: int) -> str:
    """Returns the reason for skipping a model that does not fit into memory."""
    return f"running it takes {needed_bytes / 1e9:.1f} GB of memory, and {free_bytes / 1e9:.1f} GB are free"


def _run(model: Path, request: str, trainer: Environment) -> SmokeTest:
    try:
        answer = subprocess.run(
            [str(trainer.python), str(SCRIPT), str(model.absolute()), request],
            capture_output=True,
            text=True,
            # Busy-waiting threads make it ten times slower on two cores with other load.
            env=trainer.variables() | {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"},
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return SmokeTest(outcome="skipped", words=f"no answer after {TIMEOUT_S / 60:.0f} minutes on this machine")
    if answer.returncode < 0:
        return SmokeTest(outcome="skipped", words=f"ended by signal {-answer.returncode} (out of memory?)")
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        return SmokeTest(outcome="failed", words=last)
    result = json.loads(answer.stdout.splitlines()[-1])
    return SmokeTest(outcome=result["outcome"], words=result["words"])
