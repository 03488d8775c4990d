"""`python -m tools...` is run from the checkout by its scripts; a test runs it elsewhere."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _tools_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))
