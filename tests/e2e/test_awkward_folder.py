"""The whole road below a folder whose name holds what YAML, vLLM and LLaMA-Factory read as something else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vigil.environments import CHECKOUT
from vigil.manifest import read_manifest
from vigil.serving.server import RunningServer, run_server

pytestmark = [pytest.mark.e2e, pytest.mark.long]

AWKWARD = "打架 数据(1),v2 #3"
EVERY_WINDOW = (
    "min_label_probability=0",
    "rules.0.k=1",
    "rules.0.n=1",
    "rules.0.keep_from=1e-9",
    "rules.0.tiers={low: 1e-9, medium: 0.85, high: 0.92}",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("road") / AWKWARD
    folder.mkdir()
    return folder


def vigil(home: Path, *words: str, server: RunningServer | None = None) -> str:
    """One command as a user gives it, from the folder itself."""
    told = () if server is None else ("--url", server.url, "--model", server.model)
    keys = {} if server is None else {"VIGIL_API_KEY": server.key}
    command = [sys.executable, "-m", "vigil", *words, *told]
    done = subprocess.run(command, cwd=home, env=os.environ | keys, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def adapter(home: Path) -> Path:
    """Clips drawn, cut, checked and trained on, then the training gone on with; all under awkward names."""
    vigil(home, "synth", str(home / "clips"), "--clips", "16")
    vigil(home, "dataset", "build", str(home / "clips"), "--out", str(home / "data"), "--max-pixels", "12288")
    assert "0 errors" in vigil(home, "dataset", "check", str(home / "data"))
    vigil(home, "dataset", "preview", str(home / "data"))
    data = f"dataset_dir={home / 'data'}"
    vigil(home, "train", "tiny_lora", data, f"output_dir={home / 'first #1'}", "max_steps=1")
    went_on = f"adapter_name_or_path={home / 'first #1'}"
    vigil(home, "train", "tiny_lora", data, f"output_dir={home / 'second #2, on'}", went_on, "max_steps=1")
    return home / "second #2, on"


@pytest.fixture(scope="module")
def model(home: Path, adapter: Path) -> Path:
    subprocess.run([CHECKOUT / "export.sh", adapter, "--out", home / "model"], check=True, capture_output=True)
    return home / "model"


def test_a_training_writes_where_it_was_told_and_goes_on_from_the_adapter_it_was_told(
    home: Path, adapter: Path
) -> None:
    assert {path.name for path in home.iterdir()} >= {"first #1", "second #2, on"}
    assert read_manifest(home / "first #1").training["steps"] == 1
    assert "Loaded adapter(s)" in (adapter / "train.log").read_text(encoding="utf-8", errors="replace")
    kept = json.loads((adapter / "vigil-run.json").read_text(encoding="utf-8"))["settings"]
    assert kept["adapter_name_or_path"] == str(home / "first #1")
    told = read_manifest(adapter).training
    assert told["began_from"]["adapter"] == "first #1"
    assert [each["folder"] for each in told["datasets"]] == ["data", "data"]


def test_an_adapter_is_merged_served_scored_and_watched_with(home: Path, adapter: Path, model: Path) -> None:
    assert read_manifest(model).training["merged"]["checked"]
    film = next((home / "clips" / "fight").iterdir()).rename(home / "夜 #1,a.mp4")
    with run_server(model, adapters=[f"lora={adapter}"], log=home / "log #1" / "vllm.log") as server:
        assert "0 differences" in vigil(home, "parity", "--data", str(home / "data"), server=server)
        # Two steps teach no verdict words: they count whatever they have of the probability.
        scored = ("--data", str(home / "data"), "--out", str(home / "score #1"), "--min-label-probability", "0")
        vigil(home, "score", *scored, server=server)
        kept = [f"store={home / 'store #1' / 'events.db'}", *EVERY_WINDOW]
        settings = [word for each in kept for word in ("--set", each)]
        files = [
            "--jsonl",
            str(home / "a #1.jsonl"),
            "--srt",
            str(home / "a #1.srt"),
            "--video",
            str(home / "a #1.mp4"),
        ]
        vigil(home, "watch", str(film), *files, *settings, server=server)
    assert (home / "score #1" / "mistakes.html").is_file()
    assert film.name in (home / "a #1.jsonl").read_text(encoding="utf-8")
    assert (home / "a #1.mp4").stat().st_size > 0 and (home / "a #1.srt").stat().st_size > 0
    assert len(list((home / "store #1" / "clips").glob("*.mp4"))) == 1
    events = vigil(home, "events", "list", "--store", str(home / "store #1" / "events.db"))
    assert film.name in events
