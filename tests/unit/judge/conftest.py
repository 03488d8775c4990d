from collections.abc import Iterator

import numpy as np
import pytest

from judging import IDS, tokenized, yes
from scripted_server import ScriptedServer
from vigil.frames import encode_jpeg


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(models=["tiny"]) as running:
        running.routes["/tokenize"] = tokenized(IDS)
        running.default = yes()
        yield running


@pytest.fixture
def jpegs() -> list[bytes]:
    picture = np.zeros((96, 128, 3), np.uint8)
    return [encode_jpeg(picture, quality=90)] * 6
