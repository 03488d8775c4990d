import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tools.demo import DemoSettings, class_score_table, discard_stale, refuse_other_clips

import prestarted
from made_dataset import make_dataset
from vigil.errors import UsageError
from vigil.manifest import read_manifest
from vigil.serving.server import free_port
from vigil.training.output import RunRecord, write_run_record
from waiting import HANG_S, until


@pytest.mark.parametrize(("inside", "why"), [((), "holds no videos"), (("fight/a.mp4",), "one class only")])
def test_clips_that_nothing_can_be_learnt_from_are_refused_before_any_work(
    tmp_path: Path, inside: tuple[str, ...], why: str
) -> None:
    for name in inside:
        (tmp_path / "clips" / name).parent.mkdir(parents=True)
        (tmp_path / "clips" / name).write_bytes(b"0")
    (tmp_path / "clips").mkdir(exist_ok=True)
    words = ["--no-web", "--clips", "clips", "--out", "out", "--port", str(free_port())]
    told = prestarted.run(["-m", "tools.demo", *words], folder=tmp_path)
    assert (told.returncode, why in " ".join(told.stderr.split())) == (1, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "taken"), "--out taken is a file"),
        (("--port", "70000"), "there is no port 70000"),
        (("--port", "65535"), "there is no port 65536"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "taken").touch()
    told = prestarted.run(["-m", "tools.demo", "--no-web", *words], folder=tmp_path)
    assert told.returncode == 2 and said in told.stderr and len(told.stderr.splitlines()) == 1


def test_other_clips_and_seeds_have_a_folder_of_their_own() -> None:
    assert DemoSettings().out == Path("demo-out")
    assert DemoSettings(clips=Path("../shared/clips")).out == Path("demo-of-clips")
    assert DemoSettings(clips=Path("out"), seed=5).out == Path("demo-of-out-seed-5")
    assert DemoSettings(named_out=Path("mine"), clips=Path("a"), seed=5).out == Path("mine")


def test_a_folder_is_not_shared_by_two_seeds(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "made-from.json").write_text(json.dumps(DemoSettings().made_from))
    refuse_other_clips(DemoSettings(named_out=tmp_path / "out"))
    told = prestarted.run(["-m", "tools.demo", "--no-web", "--out", "out", "--seed", "5"], folder=tmp_path)
    assert told.returncode == 2
    assert "out holds the demo of drawn clips with seed 0; name another folder with --out" in told.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["made-from.json"]


@pytest.mark.parametrize("name", ["adapter", "data", "clips", "summary.json"])
def test_a_folder_of_somebodys_is_no_place_for_a_demo(tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    told = prestarted.run(["-m", "tools.demo", "--no-web", "--out", "out"], folder=tmp_path)
    assert told.returncode == 2 and f"out/{name} was not made by a demo and stays as it is" in told.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_what_was_made_from_another_dataset_is_thrown_away(tmp_path: Path) -> None:
    data, adapter = make_dataset(tmp_path / "data"), tmp_path / "adapter"
    digest = read_manifest(data).data_digest
    write_run_record(adapter, RunRecord(settings={}, data_digest=digest, base_digest="b"))
    (tmp_path / "model").mkdir()
    discard_stale(data, tmp_path)
    assert adapter.exists() and (tmp_path / "model").exists()
    write_run_record(adapter, RunRecord(settings={}, data_digest="of fewer clips", base_digest="b"))
    discard_stale(data, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


TRAINER = """#!/bin/sh
trap 'sleep 1; echo saved; exit 0' TERM
echo ready
while :; do sleep 0.05; done
"""
TRAIN = """
import sys
from pathlib import Path
from tools import demo, demo_tasks, stages
sys.exit(stages.exit_code_of("demo", lambda: demo._train(Path("data"), Path("out"), demo_tasks.TASKS["fight"])))
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_demo_waits_until_its_training_has_ended_in_order(tmp_path: Path, sign: signal.Signals) -> None:
    make_dataset(tmp_path / "data")
    trainer, log = tmp_path / "env/bin/llamafactory-cli", tmp_path / "out/train.log"
    trainer.parent.mkdir(parents=True)
    for program in (trainer, trainer.with_name("python")):
        program.write_text(TRAINER)
        program.chmod(0o755)
    environ = os.environ | {"VIGIL_TRAIN_PYTHON": str(trainer.with_name("python"))}
    demo = subprocess.Popen([sys.executable, "-c", TRAIN], cwd=tmp_path, env=environ, start_new_session=True)
    until(lambda: demo.poll() is not None or (log.exists() and "ready" in log.read_text()))
    assert demo.poll() is None
    # Ctrl-C reaches the whole group; the others are sent to one process.
    (os.killpg if sign == signal.SIGINT else os.kill)(demo.pid, sign)
    assert demo.wait(timeout=HANG_S) != 0
    assert "saved" in log.read_text()


def test_the_demo_of_nine_classes_has_a_folder_and_a_record_of_its_own(tmp_path: Path) -> None:
    assert (DemoSettings().out, DemoSettings(task="anomaly9").out) == (Path("demo-out"), Path("demo-anomaly9"))
    assert DemoSettings(task="anomaly9", clips=Path("/a/mine"), seed=3).out == Path("demo-anomaly9-of-mine-seed-3")
    assert DemoSettings().made_from == {"clips": None, "seed": 0}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "made-from.json").write_text(json.dumps(DemoSettings(task="anomaly9").made_from))
    refuse_other_clips(DemoSettings(task="anomaly9", named_out=tmp_path / "out"))
    with pytest.raises(UsageError, match="holds the demo of drawn clips of anomaly9 with seed 0"):
        refuse_other_clips(DemoSettings(named_out=tmp_path / "out"))


def test_a_table_of_classes_has_intervals_and_the_majority_beside_them() -> None:
    found = {
        "n": 600, "macro_f1": 0.9, "macro_f1_ci95": [0.87, 0.92], "macro_f1_majority": 0.04, "accuracy": 0.91,
        "accuracy_ci95": [0.88, 0.93], "macro_average_precision": 0.95, "macro_average_precision_ci95": None,
        "ece": 0.02,
    }  # fmt: skip
    table = class_score_table({name: {"classes": found} for name in ("base", "lora")})
    assert [list(column.cells)[1] for column in table.columns] == [
        "lora", "600", "0.900 [0.870, 0.920]", "0.040", "0.910 [0.880, 0.930]", "0.950", "0.020",
    ]  # fmt: skip
