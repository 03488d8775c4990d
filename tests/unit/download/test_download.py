"""`vigil download` before small hubs on the loopback, by the hubs' own packages: what comes is recorded and held to."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_hub import MODEL, FakeHub, serving_hub
from model_folder import WEIGHTS
from waiting import HANG_S

HUBS = ("modelscope", "huggingface")
NEWER = WEIGHTS[:-1] + b"\x01"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with serving_hub() as served:
        for name in ("main", "master"):
            served.revisions[name] = {"config.json": b"{}", "model.safetensors": NEWER, "tokenizer.json": b"{}"}
        served.revisions["v1"] = {"config.json": b"{}", "model.safetensors": WEIGHTS}
        yield served


def download(hub: FakeHub, home: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    places = {"HF_HOME": str(home / "hf"), "MODELSCOPE_HOME": str(home / "ms"), "MODELSCOPE_CACHE": str(home / "ms")}
    return subprocess.run(
        [sys.executable, "-m", "vigil", "download", *words],
        env=os.environ | {"HF_ENDPOINT": hub.url, "MODELSCOPE_ENDPOINT": hub.url} | places | variables,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def told(done: "subprocess.CompletedProcess[str]", code: int = 1) -> str:
    """What a failed command says, on its one line."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("vigil: "))
    return line


def record(folder: Path) -> dict[str, object]:
    data = json.loads((folder / "vigil-download.json").read_text())
    assert isinstance(data, dict)
    return data


def test_a_model_of_somebodys_is_not_written_over(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "tiny-model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("mine")
    said = told(download(hub, tmp_path, MODEL, "--from", "huggingface"), 2)
    assert "config.json was not fetched by " in said and "vigil download and stays as it is" in said
    assert (folder / "config.json").read_text() == "mine" and len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("source", HUBS)
def test_a_revision_is_fetched_recorded_and_verified(hub: FakeHub, tmp_path: Path, source: str) -> None:
    folder = tmp_path / "models" / "tiny-model"
    done = download(hub, tmp_path, MODEL, "--from", source, "--revision", "v1")
    assert (done.returncode, done.stdout) == (0, "models/tiny-model\n"), done.stderr
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    held = record(folder)
    assert (held["model"], held["source"], held["revision"]) == (MODEL, source, "v1")
    assert held["commit"] == (hub.commit("v1") if source == "huggingface" else "")
    assert held["files"].keys() == {"config.json", "model.safetensors"}  # type: ignore[attr-defined]

    hub.asked.clear()
    assert download(hub, tmp_path, MODEL, "--verify").returncode == 0
    assert download(hub, tmp_path, MODEL, "--from", source).returncode == 0
    assert [line for line in hub.asked if MODEL in line] == []
    other = download(hub, tmp_path, MODEL, "--from", source, "--revision", "x")
    assert "holds another model or revision" in told(other, 2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.safetensors", NEWER, "model.safetensors has changed"),
        ("config.json", b"[]", "config.json has changed"),
        ("modeling.py", b"import os", "modeling.py was not part of the download"),
        ("deep/extra.safetensors", WEIGHTS, "deep/extra.safetensors was not part of the download"),
    ],
    ids=["weights", "configuration", "code", "more weights"],
)
def test_a_file_that_is_not_what_came_is_refused(
    hub: FakeHub, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    folder = tmp_path / "model"
    words = (MODEL, "--revision", "v1", "--to", str(folder))
    assert download(hub, tmp_path, *words).returncode == 0
    (folder / name).parent.mkdir(exist_ok=True)
    kept = (folder / "model.safetensors").stat()
    (folder / name).write_bytes(content)
    os.utime(folder / name, ns=(kept.st_atime_ns, kept.st_mtime_ns))  # what changes a file may keep its time
    for more in ((), ("--verify",)):
        assert said in told(download(hub, tmp_path, *words, *more))


@pytest.mark.parametrize("source", HUBS)
def test_a_lost_file_is_fetched_again_at_the_revision_that_was_recorded(
    hub: FakeHub, tmp_path: Path, source: str
) -> None:
    words = (MODEL, "--from", source, "--to", "model")
    assert download(hub, tmp_path, *words, "--revision", "v1").returncode == 0
    (tmp_path / "model" / "model.safetensors").unlink()
    assert "model.safetensors is missing" in told(download(hub, tmp_path, *words, "--verify"))
    done = download(hub, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == WEIGHTS
    assert record(tmp_path / "model")["revision"] == "v1"


@pytest.mark.parametrize("source", HUBS)
def test_what_another_hand_sends_in_the_hubs_name_is_refused(hub: FakeHub, tmp_path: Path, source: str) -> None:
    hub.told["model.safetensors"] = "ab" * 32
    said = told(download(hub, tmp_path, MODEL, "--from", source, "--to", "model", MODELSCOPE_DOWNLOAD_MAX_RETRIES="1"))
    assert source in said
    assert not (tmp_path / "model" / "vigil-download.json").exists()


@pytest.mark.parametrize("source", HUBS)
@pytest.mark.parametrize(("model", "revision"), [(MODEL, "nowhere"), ("Owner/unknown", "v1")])
def test_what_the_hub_does_not_have_is_told(
    hub: FakeHub, tmp_path: Path, source: str, model: str, revision: str
) -> None:
    said = told(download(hub, tmp_path, model, "--from", source, "--revision", revision, "--to", "model"))
    assert f"fetching {model} at {revision} from {source} failed" in said and "try --from" in said
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("source", HUBS)
def test_a_hub_that_does_not_answer_is_told(hub: FakeHub, tmp_path: Path, source: str) -> None:
    away = {"HF_ENDPOINT": "http://127.0.0.1:9", "MODELSCOPE_ENDPOINT": "http://127.0.0.1:9"}
    said = told(download(hub, tmp_path, MODEL, "--from", source, "--to", "model", **away))
    assert f"from {source} failed" in said and "check the network" in said


@pytest.mark.parametrize("words", [("model",), ("a/b/c",), ("a/..",), (MODEL, "--from", "disk"), (MODEL, "--verify")])
def test_wrong_words_are_told(hub: FakeHub, tmp_path: Path, words: tuple[str, ...]) -> None:
    told(download(hub, tmp_path, *words), 2)
    assert hub.asked == []


def test_a_damaged_record_is_told(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for text in ("{", "[]", '{"files": 3}', '{"files": {"a": {"sha256": 3}}}', '{"files": {}}'):
        (tmp_path / "model" / "vigil-download.json").write_text(text)
        assert "vigil-download.json" in told(download(hub, tmp_path, MODEL, "--to", "model", "--verify"))


def test_without_the_hubs_packages_the_way_to_get_them_is_told(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "modelscope_hub.py").write_text("raise ImportError('no modelscope_hub here')")
    said = told(download(hub, tmp_path, MODEL, PYTHONPATH=str(tmp_path)))
    assert "vigil[download]" in said
