"""The package as it is installed from a wheel, away from the checkout."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from vigil.serving.server import free_port
from waiting import HANG_S, until

CHECKOUT = Path(__file__).resolve().parents[2]
UV = CHECKOUT / ".venv-uv" / "bin" / "uv"

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel of this checkout was unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [str(UV), "build", "--wheel", "--out-dir", str(folder), str(CHECKOUT)]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "installed")
    return folder / "installed"


def environment_of(installed: Path) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != "VIGIL_CONFIGS"}
    return environment | {"PYTHONPATH": str(installed)}


def test_the_wheel_brings_its_settings_along(installed: Path, tmp_path: Path) -> None:
    shipped = {path.relative_to(CHECKOUT) for path in (CHECKOUT / "configs").rglob("*") if path.is_file()}
    assert shipped == {path.relative_to(installed / "vigil") for path in config_files(installed)}
    code = "from vigil.questions import load_question; import vigil; print(load_question('fight').name, vigil.__file__)"
    asked = subprocess.run(
        [sys.executable, "-c", code], env=environment_of(installed), cwd=tmp_path, capture_output=True, text=True
    )
    assert asked.stdout.split() == ["fight", str(installed / "vigil/__init__.py")], asked.stderr


def test_the_pages_are_served_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    kept = {path.relative_to(CHECKOUT / "app") for path in (CHECKOUT / "app").rglob("*") if path.is_file()}
    brought = {
        path.relative_to(installed / "vigil/app") for path in (installed / "vigil/app").rglob("*") if path.is_file()
    }
    assert brought == {path for path in kept if "__pycache__" not in path.parts}
    port = free_port()
    command = [sys.executable, "-m", "vigil", "web", "--port", str(port), "--url", "http://127.0.0.1:9/v1"]
    with (tmp_path / "log").open("wb") as log:
        pages = subprocess.Popen(command, env=environment_of(installed), cwd=tmp_path, stdout=log, stderr=log)
    try:
        until(lambda: pages.poll() is not None or _page(port))
        assert pages.poll() is None, (tmp_path / "log").read_text()
        assert "Vigil" in _page(port)
    finally:
        pages.send_signal(signal.SIGINT)
        pages.wait()


def _page(port: int) -> str:
    """The first page; empty while nothing answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/en/", follow_redirects=True, trust_env=False, timeout=HANG_S).text
    except httpx.TransportError:
        return ""


def config_files(installed: Path) -> list[Path]:
    return [path for path in (installed / "vigil/configs").rglob("*") if path.is_file()]
