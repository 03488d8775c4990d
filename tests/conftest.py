"""One real vLLM for all tests of a worker that ask for it: the tiny base, served as `vllm.sh` serves it.

With `$VIGIL_TEST_URL` the scripts `tests/test_*.py` are run against that endpoint instead (key: `$VIGIL_API_KEY`).
"""

import os
import signal
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadfile import LoadFileScheduling

from postgresql import MISSING, PostgresServer, find_programs, running_server
from vigil.environments import gc_frozen
from vigil.errors import EnvironmentMissing
from vigil.frames import FrameSampling
from vigil.judge import Endpoint, read_key
from vigil.questions import Question, load_question
from vigil.serving.server import RunningServer, run_server
from vigil.tiny import BASE_FOLDER

TINY_SAMPLING = FrameSampling(max_pixels=12_288)
"""128x96 frames: what the tiny base was made for."""

TOGETHER = {
    "vLLM": (
        "tests/e2e/test_judge_faults.py",
        "tests/e2e/test_observations.py",
        "tests/e2e/test_serving.py",
        "tests/e2e/test_serving_guard.py",
        "tests/e2e/test_serving_media.py",
        "tests/e2e/test_serving_options.py",
        "tests/e2e/test_timeline.py",
        "tests/e2e/test_verdict_words.py",
        "tests/e2e/test_watch_service.py",
        "tests/test_accuracy.py",
        "tests/test_images.py",
        "tests/test_texts.py",
        "tests/test_videos.py",
    ),
    "vLLM and the pages": (
        "tests/e2e/web/test_analysis.py",
        "tests/e2e/web/test_analysis_webcam.py",
        "tests/e2e/web/test_chat_webcam.py",
        "tests/e2e/web/test_real_model.py",
    ),
    "the services of the REST API": ("tests/unit/api/",),
    "the true vocabularies": (
        "tests/unit/dataset/test_check.py",
        "tests/unit/dataset/test_label_words.py",
        "tests/unit/tools/test_tiny_tokenizer.py",
        "tests/unit/tools/tiny_base/test_vocabulary.py",
    ),
}
"""Files, and folders of files, that one worker runs, since each worker that runs one of them starts what they share.

A vLLM is 15 s of CPU and 1.4 GiB; the two services, one of them with users, are 9 s of CPU, the two vocabularies 10.
"""

# A suite that was started in the background or with nohup inherits a Ctrl-C or a hangup that is ignored, and so would
# every program it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Loads the tests and what they need, half of Vigil, without the collector."""
    with gc_frozen():
        return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what needs a PostgreSQL server where none is installed; scripts/test.sh demands one."""
    if find_programs() is not None or os.environ.get("VIGIL_TEST_SERVICES") == "required":
        return
    left_out: Sequence[pytest.Item] = [item for item in items if item.get_closest_marker("postgresql")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says so where tests were left out."""
    if find_programs() is None:
        terminalreporter.write_line(f"NOT ALL WAS TRIED: {MISSING}", red=True, bold=True)


class ByServer(LoadFileScheduling):
    """A file, or the files that belong together, at a time."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((name for name, files in TOGETHER.items() if file.startswith(files)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """What hands the files to the workers."""
    return ByServer(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresServer]:
    """The PostgreSQL server of a worker's tests. A test may stop it, and starts it again."""
    if find_programs() is None:
        pytest.fail(MISSING)
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def task() -> Question:
    """The task that the server is asked about."""
    return load_question("fight")


@pytest.fixture(scope="session")
def sampling() -> FrameSampling:
    """How the pictures of the e2e tests are cut and sized."""
    return TINY_SAMPLING


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, task: Question) -> Iterator[RunningServer]:
    """The tiny base behind a real vLLM, at a free port and with a key of its own."""
    folder: Path = tmp_path_factory.mktemp("server")
    try:
        serving = run_server(
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
    server: RunningServer = request.getfixturevalue("server")
    return server.endpoint()
