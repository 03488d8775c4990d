from collections.abc import Iterator
from pathlib import Path

import pytest

from vigil.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "kept" / "events.db") as opened:
        yield opened
