"""4-bit training keeps the vision tower whole, as serving has it; on the CPU, by bitsandbytes' own code for it."""

import json
import subprocess
from pathlib import Path

import pytest

from vigil.environments import environment
from vigil.tiny import BASE_FOLDER
from vigil.training.llamafactory import IN_ONE_PROCESS

pytestmark = [pytest.mark.e2e, pytest.mark.long]


@pytest.mark.parametrize(("how", "tower_is_quantized"), [("as-it-is", True), ("ours", False)])
def test_the_vision_tower_stays_out_of_the_4_bits(how: str, tower_is_quantized: bool) -> None:
    """`as-it-is` shows what LLaMA-Factory does alone: when it no longer quantizes the tower, ours can go."""
    trainer = environment("train")
    script = Path(__file__).with_name("quantized_tower.py")
    command = [str(trainer.python), str(script), str(IN_ONE_PROCESS), str(BASE_FOLDER), how]
    done = subprocess.run(command, capture_output=True, text=True, env=trainer.variables(), check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    (tower, tower_layers), (language, language_layers) = found["visual"], found["language_model"]
    assert tower_layers > 0 and tower == (tower_layers if tower_is_quantized else 0)
    assert language == language_layers > 0
