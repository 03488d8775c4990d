"""The real vLLM under an operator's own settings."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from media_trap import media_trap
from vigil.frames import Sampling
from vigil.serving import Server, running
from vigil.tasks import Task
from vigil.tiny import BASE_FOLDER

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, task: Task, sampling: Sampling) -> Iterator[Server]:
    """A server that may fetch from `localhost`."""
    folder: Path = tmp_path_factory.mktemp("opened")
    config = folder / "opened.yaml"
    config.write_text("media_domains: [localhost]\nkv_cache_tokens: 8192\nenforce_eager: true\n")
    with running(
        BASE_FOLDER,
        name="tiny",
        task=task,
        sampling=sampling,
        config=config,
        log=folder / "vllm.log",
        key_file=folder / "key",
    ) as ready:
        yield ready


def _status(server: Server, url: str) -> int:
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]
    body = {"model": server.model, "messages": [{"role": "user", "content": content}], "max_tokens": 1}
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.post(f"{server.url}/chat/completions", json=body, headers=headers, timeout=60).status_code


def test_a_named_domain_is_fetched_from_and_no_other(opened: Server) -> None:
    with media_trap() as named, media_trap() as other:
        assert _status(opened, f"http://localhost:{named.port}/x.jpg") == 200
        assert named.asked == ["/x.jpg"]
        for url in (
            f"http://127.0.0.1:{other.port}/x.jpg",
            f"http://localhost@127.0.0.1:{other.port}/x.jpg",
            f"http://localhost:pass@127.0.0.1:{other.port}/x.jpg",
            f"http://127.0.0.1:{other.port}#@localhost/x.jpg",
            "file://localhost/etc/passwd",
        ):
            assert (url, _status(opened, url)) == (url, 400)
        assert other.asked == []


def test_a_redirect_out_of_the_domain_is_not_followed(opened: Server) -> None:
    with media_trap() as named, media_trap() as other:
        assert _status(opened, f"http://localhost:{named.port}/to?http://127.0.0.1:{other.port}/x.jpg") == 400
        assert len(named.asked) == 1 and other.asked == []
