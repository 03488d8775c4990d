"""Which model may be calibrated on which clips, and what is said where the calibration silences it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from films import shoot
from judging import SAMPLING, TASK
from scoring import brightness_server, manifest, write_dataset
from scripted_server import Reply, ScriptedServer
from vigil.cli.main import main
from vigil.dataset.extract import file_digest
from vigil.dataset.used_clips import DIGEST_HEX, UsedClips, used_clips
from vigil.manifest import Contract, read_manifest

GREYS = {f"alarm/{i}": [128 + 8 * i - (60 if i % 4 == 0 else 0)] for i in range(1, 13)} | {
    f"normal/{i}": [128 - 8 * i + (60 if i % 4 == 0 else 0)] for i in range(1, 13)
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedServer]:
    monkeypatch.setenv("VIGIL_API_KEY", "secret")
    monkeypatch.chdir(tmp_path)
    with brightness_server(models=["fight"], api_key="secret") as running:
        yield running


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "fight"
    folder.mkdir(parents=True)
    manifest(digest="d").write(folder)
    return folder


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "held", GREYS, split="calibration", digest="other")


def serve_from(server: ScriptedServer, root: str | Path, contract: Contract | None = None) -> None:
    """The server says where its weights lie, and under which contract."""
    card = {"id": "fight", "object": "model", "created": 1, "owned_by": "vllm", "root": str(root)}
    server.routes["/v1/models"] = Reply(body={"object": "list", "data": [card | {"max_model_len": 4096}]})
    if contract is not None:
        told = {"sampling": vars_of(contract)} | {
            key: getattr(contract, key) for key in ("task", "question", "alarm_word", "normal_word")
        }
        server.routes["/vigil.json"] = Reply(body={"format": 1, "models": {"fight": {"contract": told}}})


def vars_of(contract: Contract) -> dict[str, float]:
    names = ("fps", "frames", "overlap", "max_pixels", "jpeg_quality")
    return {name: getattr(contract.sampling, name) for name in names}


def write_film(path: Path, *, rate: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shoot(path, frames=20, rate=rate)
    return path


def calibrate(server: ScriptedServer, model: Path, data: Path, *more: str) -> int:
    return main(["calibrate", "--data", str(data), "--url", server.url, "--model-dir", str(model), *more])


@pytest.mark.parametrize("root", ["models/tiny-normal", "/srv/models/fight", "fight2"])
def test_another_model_than_the_folders_is_not_calibrated(
    server: ScriptedServer, model: Path, held_out: Path, capsys: pytest.CaptureFixture[str], root: str
) -> None:
    serve_from(server, root)
    assert calibrate(server, model, held_out) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"serves {root}" in told and "--served-as" in told and server.chats == []
    assert read_manifest(model).calibration is None


def test_a_model_that_is_served_under_another_contract_is_not_calibrated(
    server: ScriptedServer, model: Path, held_out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_from(server, model, Contract.of(TASK, replace(SAMPLING, fps=5.0)))
    assert calibrate(server, model, held_out) == 2
    assert "fps is 2 here and 5 at the server" in " ".join(capsys.readouterr().err.split())
    assert server.chats == [] and read_manifest(model).calibration is None


@pytest.mark.parametrize("root", ["{model}", "models/fight", "fight", "linked"])
def test_the_folders_own_model_is_known_however_its_server_calls_it(
    server: ScriptedServer, model: Path, held_out: Path, root: str
) -> None:
    Path("linked").symlink_to(model)
    serve_from(server, root.format(model=model), Contract.of(TASK, SAMPLING))
    assert calibrate(server, model, held_out) == 0
    assert read_manifest(model).calibration is not None


def test_a_container_that_calls_the_folder_otherwise_is_named(
    server: ScriptedServer, model: Path, held_out: Path
) -> None:
    serve_from(server, "/model")
    assert calibrate(server, model, held_out, "--served-as", "/models") == 2
    assert calibrate(server, model, held_out, "--served-as", "/model") == 0


def note_used(model: Path, **used: UsedClips) -> None:
    held = read_manifest(model)
    told = {split: each.to_json() for split, each in used.items()}
    replace(held, training=held.training | {"clips_used": told}).write(model)


@pytest.mark.parametrize(("side", "said"), [("train", "was trained on"), ("val", "was trained on"), ("test", "score")])
def test_clips_that_the_model_has_met_are_refused_by_what_is_in_them(
    server: ScriptedServer, model: Path, held_out: Path, capsys: pytest.CaptureFixture[str], side: str, said: str
) -> None:
    rows = json.loads((held_out / "anomaly-calibration.json").read_text())
    met = [row for row in rows if row["clip"] in {"alarm/3", "normal/5"}]
    note_used(model, **{side: used_clips(held_out, met)})
    assert calibrate(server, model, held_out) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "2 of 24 clips" in told and "alarm/3" in told and said in told
    assert read_manifest(model).calibration is None and server.chats == []


def test_other_clips_of_a_recording_that_was_trained_on_are_refused(
    server: ScriptedServer, model: Path, held_out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = held_out / "anomaly-calibration.json"
    rows = json.loads(path.read_text())
    path.write_text(
        json.dumps([row | {"group": "gate-3" if row["clip"] == "alarm/3" else row["clip"]} for row in rows])
    )
    note_used(model, train=UsedClips(digests=frozenset({"0" * 16}), recordings=frozenset({"gate-3"})))
    assert calibrate(server, model, held_out) == 2
    assert "1 of 24 clips" in capsys.readouterr().err


def test_a_model_that_does_not_tell_its_clips_is_calibrated_with_a_warning(
    server: ScriptedServer, model: Path, held_out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(server, model, held_out) == 0
    assert "does not list the clips" in capsys.readouterr().err


def test_video_files_that_were_trained_on_are_known_in_another_folder_by_another_name(
    server: ScriptedServer, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = write_film(Path("trained/alarm/a.mp4"), rate=9)
    names = [f"{label}/{number}" for label in ("alarm", "normal") for number in (1, 2)]
    others = [write_film(Path(f"new/{name}.mp4"), rate=10 + number) for number, name in enumerate(names)]
    shutil.copy(trained, others[0].with_name("renamed.mp4"))
    note_used(model, train=UsedClips(digests=frozenset({file_digest(trained)[:DIGEST_HEX]})))
    assert main(["calibrate", "new", "--url", server.url, "--model-dir", str(model)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "1 of 5 clips" in told and "alarm/renamed.mp4" in told


def test_a_calibration_that_leaves_hardly_an_alarm_says_so(
    server: ScriptedServer, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unsure = {f"alarm/{i}": [(200, 60)[i % 2]] for i in range(12)} | {
        f"normal/{i}": [(60, 200)[i % 2]] for i in range(12)
    }
    assert calibrate(server, model, write_dataset(tmp_path / "held", unsure, split="calibration", digest="o")) == 0
    told = capsys.readouterr()
    assert "of 12 alarm clips 0 reach low (0.75), 0 medium (0.85), 0 high (0.92); uncalibrated 6, 6, 6" in told.out
    assert "warning: hardly any alarm" in told.err


def test_a_calibration_that_leaves_alarms_says_nothing_of_it(
    server: ScriptedServer, model: Path, held_out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(server, model, held_out) == 0
    assert "hardly any alarm" not in capsys.readouterr().err
