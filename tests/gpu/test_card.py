"""The rehearsal's road on an NVIDIA card, with the real flags: what only a GPU can settle, in under ten minutes.

    bash scripts/setup.sh all && .venv/bin/python -m pytest -m gpu tests/gpu -s

Training in bfloat16 as `configs/train/qwen3vl_2b_lora.yaml` says, but for the number of steps; CUDA graphs; the serve
configurations for 24 GB and, where the card is large enough, 80 GB. The weights are random (tools.rehearsal), which
changes no speed and no memory. Figures go to `gpu.json` in `$VIGIL_GPU_OUT`, else in outputs/gpu.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tools.rehearsal.shapes import SHAPES
from tools.rehearsal.walk import Rehearsal, RehearsalSettings
from tools.stages import versions

from vigil.environments import environment
from vigil.files import write_json
from vigil.manifest import read_manifest
from vigil.serving.server import RunningServer

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(os.environ.get("VIGIL_GPU_OUT", ROOT / "outputs" / "gpu"))
STEPS = 20
CONFIGS = {"gpu_24gb": 20.0, "gpu_80gb": 70.0}
"""Serve configurations, and the GiB that a card must have for each."""


def smi(what: str) -> list[str]:
    """A property of every card that nvidia-smi sees."""
    command = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """The most GiB that the first card held while the block ran, looked at twice a second; one figure at its end."""
    seen_gib: list[float] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.5):
            seen_gib.append(float(smi("memory.used")[0]) / 1024)

    thread = threading.Thread(target=look)
    thread.start()
    peak: list[float] = []
    try:
        yield peak
    finally:
        done.set()
        thread.join()
        peak.append(round(max(seen_gib, default=0.0), 1))


def real_flags() -> dict[str, str]:
    """What is trained otherwise than in the configuration."""
    flags = {f"max_steps={STEPS}": "as many as tell the pace", "logging_steps=5": "so that they are seen"}
    if environment("train").versions(["flash_attn"]):
        flags["flash_attn=fa2"] = "it is installed"
    return flags


def verdict_figures(server: RunningServer, name: str) -> dict[str, Any]:
    """Windows a second, ours and the blogs' way, by the benchmark on this very server."""
    path = OUT / f"verdict-{name}.json"
    at = ("--url", server.url, "--model", server.model, "--max-pixels", "131072")
    command = [sys.executable, "benchmarks/verdict.py", *at, "--rounds", "3", "--json", str(path)]
    variables = os.environ | {"VIGIL_API_KEY": server.key}
    subprocess.run(command, cwd=ROOT, env=variables, check=True)
    figures: dict[str, Any] = json.loads(path.read_text())
    return figures


def test_a_card_trains_merges_and_serves_the_flagship(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    card_gib = float(smi("memory.total")[0]) / 1024
    figures: dict[str, Any] = {"card": smi("name")[0], "driver": smi("driver_version")[0], "gib": round(card_gib, 1)}
    walk = Rehearsal(RehearsalSettings(shape=SHAPES["2b"], out=OUT))
    walk.make_model()
    walk.make_dataset()
    with peak_memory() as training_gib:
        walk.train(real_flags())
    trained = read_manifest(walk.settings.adapter).training
    figures |= {
        "train_samples_per_s": trained["samples_per_second"],
        "train_seconds": trained["train_seconds"],
        "train_peak_gib": training_gib[0],
    }
    walk.export()
    for name in (name for name, least_gib in CONFIGS.items() if card_gib >= least_gib):
        with peak_memory() as serving_gib, walk.served(name) as server:
            walk.compare(server)
            walk.score(server)
            walk.describe(server)
            figures[name] = {**walk.figures, "verdict": verdict_figures(server, name)}
        figures[name]["peak_gib"] = serving_gib[0]
        assert figures[name]["parity_differences"] == 0
        assert figures[name]["verdict_way"] == "ids"
    write_json(OUT / "gpu.json", figures | {"seconds": walk.stages.seconds, "versions": versions()})
    print((OUT / "gpu.json").read_text())
    assert any(name in figures for name in CONFIGS), f"{figures['card']} has under 20 GiB: neither configuration fits"
