"""The package as it is installed from a wheel, away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from waiting import HANG_S

CHECKOUT = Path(__file__).resolve().parents[2]
UV = CHECKOUT / ".venv-uv" / "bin" / "uv"

pytestmark = pytest.mark.e2e


def test_the_wheel_brings_its_settings_along(tmp_path: Path) -> None:
    build = [str(UV), "build", "--wheel", "--out-dir", str(tmp_path), str(CHECKOUT)]
    built = subprocess.run(build, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "installed")
    shipped = {path.relative_to(CHECKOUT) for path in (CHECKOUT / "configs").rglob("*") if path.is_file()}
    assert shipped == {path.relative_to(tmp_path / "installed/vigil") for path in config_files(tmp_path / "installed")}
    code = "from vigil.questions import load_question; import vigil; print(load_question('fight').name, vigil.__file__)"
    environment = {name: value for name, value in os.environ.items() if name != "VIGIL_CONFIGS"}
    environment["PYTHONPATH"] = str(tmp_path / "installed")
    asked = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert asked.stdout.split() == ["fight", str(tmp_path / "installed/vigil/__init__.py")], asked.stderr


def config_files(installed: Path) -> list[Path]:
    return [path for path in (installed / "vigil/configs").rglob("*") if path.is_file()]
