"""What a visitor's requests may make the pages hold: pictures in a request, structures of JSON, inputs of sessions."""

import base64
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from browsing import ROOT, Site, gradio_config, site_at
from waiting import HANG_S

pytestmark = pytest.mark.e2e

GROWTH_KB = 30 * 1024
SIDE_PX = 9000
"""81 megapixels: 324 MB once decoded, 0.4 MB in a request."""

KEPT_SESSIONS = """
import sys
from pathlib import Path
from app.console.assets import ConsoleAssets
from app.web.site import gradio_page
from rooms import context_of
for route in [
    route
    for language in ("en", "zh")
    for route in gradio_page(context_of(Path(sys.argv[1])), language, ConsoleAssets.read()).routes
]:
    holder = getattr(getattr(route, "app", None), "state_holder", None)
    if holder is not None:
        print(holder.capacity)
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_at("http://127.0.0.1:9/v1", folder=tmp_path_factory.mktemp("pages"), is_prestarted=False) as running:
        yield running


def peak_kb(site: Site) -> int:
    """The most memory that the pages have held so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{site.process.pid}/status").read_text(encoding="utf-8"))
    assert found
    return int(found[1])


def bomb() -> str:
    """A PNG that is small as long as nobody decodes it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(9), bytes(1 + SIDE_PX * 4)
    data = b"".join(packer.compress(row) for _ in range(SIDE_PX)) + packer.flush()
    head = struct.pack("!IIBBBBB", SIDE_PX, SIDE_PX, 8, 6, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def events(site: Site, kind: str) -> list[dict[str, Any]]:
    """The events of the English page that something of this kind begins."""
    return [each for each in gradio_config(f"{site.url}en/")["dependencies"] if each["targets"][0][1] == kind]


def outcome(client: httpx.Client, page: str, event: int, data: list[Any]) -> dict[str, Any]:
    """What an event in the queue ended with."""
    join = {"data": data, "fn_index": event, "session_hash": page, "trigger_id": None}
    client.post("queue/join", json=join).raise_for_status()
    with client.stream("GET", "queue/data", params={"session_hash": page}) as told:
        for line in told.iter_lines():
            message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if message.get("msg") == "process_completed":
                return dict(message)
    raise AssertionError("the event never ended")


def client_of(site: Site) -> httpx.Client:
    return httpx.Client(base_url=f"{site.url}en/gradio_api/", timeout=HANG_S)


def test_a_webcams_picture_is_not_decoded_by_the_pages_and_is_gone_afterwards(pages: Site, tmp_path: Path) -> None:
    webcams = events(pages, "stream")
    assert len(webcams) == 2
    picture = bomb()
    with client_of(pages) as client:
        before_kb = peak_kb(pages)
        for number, webcam in enumerate(webcams):
            told = outcome(client, f"webcam{number}", webcam["id"], [{"path": None, "url": picture}, None])
            assert told["success"], told
        assert peak_kb(pages) - before_kb < GROWTH_KB
    left = [path for path in (pages.log.parent / "uploads").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert [path.name for path in left] == ["audit.log"]


def test_no_other_input_may_hold_a_picture(pages: Site) -> None:
    (ask,) = [each for each in events(pages, "click") if len(each["inputs"]) == 7]
    with client_of(pages) as client:
        file = {"path": "x.png", "url": bomb(), "meta": {"_type": "gradio.FileData"}}
        told = outcome(client, "held", ask["id"], ["", file, None, "", "", None, None])
    assert not told["success"] and "was not sent" in told["output"]["error"]


def test_many_parts_and_long_inputs_are_refused(pages: Site) -> None:
    (hint,) = [each for each in events(pages, "change") if each["api_name"] == "hint"]
    with client_of(pages) as client:

        def run(question: Any) -> httpx.Response:
            asked = {"data": ["", question], "fn_index": hint["id"], "session_hash": "long"}
            return client.post("run/predict", json=asked)

        assert run([[]] * 10_000).status_code == 413
        assert "longer than" in run("x" * 120_000).text
        assert run("打" * 100_000).status_code == 200


def test_few_sessions_are_kept_of_each_language(tmp_path: Path) -> None:
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "src", ROOT / "tests")))
    told = subprocess.run(
        [sys.executable, "-c", KEPT_SESSIONS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["256", "256"]
