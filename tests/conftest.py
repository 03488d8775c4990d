"""One real vLLM for all tests that are marked e2e: the tiny base, served as `vllm.sh` serves it.

With `$VIGIL_TEST_URL` the scripts `tests/test_*.py` are run against that endpoint instead (key: `$VIGIL_API_KEY`).
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from vigil.errors import EnvironmentMissing
from vigil.frames import Sampling
from vigil.judge import Endpoint, read_key
from vigil.serving import Server, running
from vigil.tasks import Task, load_task
from vigil.tiny import BASE_FOLDER

TINY_SAMPLING = Sampling(max_pixels=12_288)
"""128x96 frames: what the tiny base was made for."""

# A suite that was started in the background or with nohup inherits a Ctrl-C or a hangup that is ignored, and so would
# every program it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def task() -> Task:
    """The task that the server is asked about."""
    return load_task("fight")


@pytest.fixture(scope="session")
def sampling() -> Sampling:
    """How the pictures of the e2e tests are cut and sized."""
    return TINY_SAMPLING


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, task: Task) -> Iterator[Server]:
    """The tiny base behind a real vLLM, at a free port and with a key of its own."""
    folder: Path = tmp_path_factory.mktemp("server")
    try:
        serving = running(
            BASE_FOLDER,
            name="tiny",
            task=task,
            sampling=TINY_SAMPLING,
            log=folder / "vllm.log",
            key_file=folder / "key",
        )
        with serving as ready:
            yield ready
    except EnvironmentMissing as missing:
        pytest.fail(str(missing))


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """The endpoint that the scripts ask: the session's server, unless another is named."""
    url = os.environ.get("VIGIL_TEST_URL")
    if url:
        return Endpoint(url=url, model=os.environ.get("VIGIL_TEST_MODEL", ""), api_key=read_key(url=url))
    server: Server = request.getfixturevalue("server")
    return server.endpoint()
