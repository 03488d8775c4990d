"""What visitors send, and how much of it: bodies that are refused before they are read, quotas, words on the page."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from browsing import Site, Visitors, gradio_config, site_at
from chat_pages import ask, attach, look_at_the_whole
from scripted_server import ScriptedServer, stream
from waiting import HANG_S
from watching import film

pytestmark = pytest.mark.e2e

MB = 1024 * 1024
LARGE_MB = 300
GROWTH_KB = 30 * 1024
LOG_BYTES = 100_000
"""In a minute, whose lines are counted anew in the next."""

LIMITS = ("--upload-mb", "3", "--uploads-visitor-mb", "8", "--uploads-total-mb", "12")


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer(models=["tiny"]) as running:
        running.default = stream("Two people ", "stand there.")
        yield running


KEPT = {".lock", ".log"}


@pytest.fixture(scope="module")
def running_pages(scripted: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Pages with little room."""
    with site_at(scripted.url, *LIMITS, folder=tmp_path_factory.mktemp("pages"), is_prestarted=False) as running:
        yield running


@pytest.fixture
def pages(running_pages: Site) -> Site:
    """The same, with all that room: files that are gone count for nobody."""
    for sent in files_in(running_pages):
        sent.unlink()
    return running_pages


def files_in(site: Site) -> list[Path]:
    """What visitors have sent and is still there."""
    uploads = (site.log.parent / "uploads").rglob("*")
    return [path for path in uploads if path.is_file() and path.suffix not in KEPT]


def peak_kb(site: Site) -> int:
    """The most memory that the pages have held so far."""
    status = Path(f"/proc/{site.process.pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1])


def pieces(total_mb: int) -> Iterator[bytes]:
    """A JSON text that never closes."""
    yield b'{"data": ["'
    for _ in range(total_mb):
        yield b"x" * MB


def client_from(source: str) -> httpx.Client:
    """A visitor at an address of this machine."""
    return httpx.Client(transport=httpx.HTTPTransport(local_address=source), timeout=HANG_S)


def send(
    site: Site, size_bytes: int, *, source: str = "127.0.0.1", files: int = 1, language: str = "en"
) -> httpx.Response:
    """Files as a page sends them; each another one, as Gradio keeps the same once."""
    sent = [("files", (f"{source}-{number}.bin", os.urandom(size_bytes))) for number in range(files)]
    with client_from(source) as client:
        return client.post(f"{site.url}{language}/gradio_api/upload", files=sent)


ROUTES = ("en/gradio_api/queue/join", "zh/gradio_api/run/predict", "en/gradio_api/component_server/")
NOWHERE = "en/gradio_api/process_recording"
"""A route that is not open: its body is not read at all."""


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_large_body_is_refused_without_being_held(pages: Site, is_announced: bool) -> None:
    httpx.get(f"{pages.url}en/", timeout=HANG_S)
    before_kb = peak_kb(pages)
    for route in (*ROUTES, NOWHERE) if is_announced else ROUTES:
        headers = {"Content-Type": "application/json"}
        if is_announced:
            headers["Content-Length"] = str(11 + LARGE_MB * MB)
        told = httpx.post(f"{pages.url}{route}", content=pieces(LARGE_MB), headers=headers, timeout=HANG_S)
        assert told.status_code == (404 if route == NOWHERE else 413), route
    assert peak_kb(pages) - before_kb < GROWTH_KB


def test_a_visitor_has_so_much_room_and_another_has_their_own(pages: Site) -> None:
    for _ in range(3):
        assert send(pages, 2 * MB).status_code == 200
    refused = send(pages, 2 * MB + 1)
    assert refused.status_code == 413 and "up to" not in refused.text and "8 MB" in refused.text
    assert "8 MB" in send(pages, 2 * MB + 1, language="zh").text
    assert send(pages, 2 * MB, source="127.0.0.2").status_code == 200


def test_all_visitors_together_have_so_much_room(pages: Site) -> None:
    for number in range(2, 7):
        assert send(pages, 2 * MB, source=f"127.0.0.{number}").status_code == 200
    refused = send(pages, 2 * MB, source="127.0.0.9")
    assert refused.status_code == 507 and "is full" in refused.text
    assert send(pages, MB, source="127.0.0.9").status_code == 200


def test_many_files_at_once_are_refused_and_nothing_is_left_of_them(pages: Site) -> None:
    refused = send(pages, 10, files=5, source="127.0.0.10")
    assert refused.status_code == 413 and "at most 4" in refused.text
    assert files_in(pages) == []
    assert send(pages, 10, files=4, source="127.0.0.10").status_code == 200


def test_the_file_limit_holds_without_an_announced_length(pages: Site) -> None:
    def form() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(40):
            yield b"x" * MB

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with client_from("127.0.0.11") as client:
        assert client.post(f"{pages.url}en/gradio_api/upload", content=form(), headers=headers).status_code == 413
    assert send(pages, 2 * MB, source="127.0.0.11").status_code == 200


@pytest.mark.parametrize(("language", "words"), [("en", "There is no room for this file"), ("zh-CN", "放不下这个文件")])
def test_the_page_tells_a_visitor_who_is_above_the_quota(
    pages: Site, visitors: Visitors, tmp_path: Path, language: str, words: str
) -> None:
    for _ in range(3):
        assert send(pages, 2 * MB + MB // 2).status_code == 200
    page = visitors.visit(pages.url, language=language)
    look_at_the_whole(page)
    large = film(tmp_path / "large.mp4", seconds=3)
    with large.open("ab") as file:
        file.write(b"\0" * MB)
    page.set_input_files("#chat-box input[type=file]", large)
    expect(page.get_by_text(words)).to_be_visible()
    visitors.shoot(page, f"no-room-{language}")
    small = film(tmp_path / "small.mp4", seconds=3)
    attach(page, small)
    ask(page, "Who?")
    expect(page.locator("#chat-log .bot").last).to_have_text("Two people stand there.")


def test_the_analysis_tells_it_too(pages: Site, visitors: Visitors, tmp_path: Path) -> None:
    for _ in range(3):
        assert send(pages, 2 * MB + MB // 2).status_code == 200
    page = visitors.visit(pages.url)
    page.click("#tab-analysis-button")
    large = film(tmp_path / "large.mp4", seconds=3)
    with large.open("ab") as file:
        file.write(b"\0" * MB)
    page.set_input_files("#analysis-file input[type=file]", large)
    expect(page.get_by_text("There is no room for this file")).to_be_visible()


def test_requests_that_make_no_sense_do_not_fill_the_log(pages: Site) -> None:
    asked = {"session_hash": "a", "fn_index": 2, "data": ["x"]}
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    once = {"Connection": "close"}  # uvicorn hangs up after an error
    before_bytes, began_s = pages.log.stat().st_size, time.monotonic()
    with httpx.Client(base_url=f"{pages.url}en/gradio_api/", headers=once, timeout=HANG_S) as client:
        for number in range(200):
            client.post("queue/join", json={**asked, "session_hash": f"{number}"})
            client.post("queue/join", json={**asked, "fn_index": 100_000 + number})
            assert client.post("run/predict", json=asked).status_code == 500
            client.post("upload", content=b"no form", headers=form)
    minutes = 2 + (time.monotonic() - began_s) // 60  # the first of them had begun before
    assert pages.log.stat().st_size - before_bytes < minutes * LOG_BYTES, pages.log.read_text()[-3000:]


def test_gradios_queue_ends_somewhere(running_pages: Site, scripted: ScriptedServer) -> None:
    """The last one here: it leaves the queue full."""
    scripted.default = stream("Two people ", "stand there.", delay_s=HANG_S)
    statuses = join_often(f"{running_pages.url}en", 140)
    assert statuses[:100] == [200] * 100 and statuses[-1] == 503


def join_often(url: str, times: int) -> list[int]:
    """The statuses of so many questions, each from a page of its own that has heard which models there are."""
    with httpx.Client(timeout=HANG_S) as client:
        config = gradio_config(f"{url}/")
        (box,) = [each["id"] for each in config["components"] if each["type"] == "multimodaltextbox"]
        events = config["dependencies"]
        asked = next(each for each in events if [box, "submit"] in each["targets"])
        model = asked["inputs"][1]
        offered = next(each for each in events if each["inputs"][:1] == [model] and model in each["outputs"])
        statuses = []
        for number in range(times):
            page = {"session_hash": f"session{number}"}
            offer = {**page, "data": [None, None], "fn_index": offered["id"]}
            client.post(f"{url}/gradio_api/run/predict", json=offer).raise_for_status()
            data = [{"text": "Who?", "files": []}, "tiny", 64, None, "whole", ""]
            join = {**page, "data": data, "fn_index": asked["id"], "trigger_id": box}
            statuses.append(client.post(f"{url}/gradio_api/queue/join", json=join).status_code)
        return statuses
