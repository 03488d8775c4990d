"""The analysis of videos and cameras in a real Chromium: every source, both modes, and what breaks."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import av
import pytest
from playwright.sync_api import Page, expect

import rtsp_server
from analysis_pages import choose
from browsing import PHONE, Site, Visitors, settle, site_at
from films import shoot
from judging import yes
from scripted_server import Reply, Request, ScriptedServer, stream
from vigil.analysis.segments import FILE_IN_FLIGHT
from vigil.serving.server import free_port
from waiting import HANG_S
from watching import SAYS_YES, bright_server, film, is_bright, look

pytestmark = pytest.mark.e2e

LONG_WINDOWS = 600
FOLLOWS_TO = """second => {
  const times = [...document.querySelectorAll("#analysis-stage .va-row:not(.is-unknown) .va-time")];
  const [minutes, seconds] = times.at(-1)?.textContent.split("–")[1].trim().split(":").map(Number) ?? [0, 0];
  return 60 * minutes + seconds >= second;
}"""
"""Whether the newest window with a verdict ends at this second or later."""

NOT_HTML = '<img src=x onerror="window.broken = true"> <b>two</b> people push'


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 30 s, bright in its second third."""
    return film(tmp_path_factory.mktemp("film") / "thirty.mp4", seconds=30, bright=[(10, 20)])


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that is never over while a test looks at it."""
    return film(tmp_path_factory.mktemp("film") / "long.mp4", seconds=2 * LONG_WINDOWS, fps=4)


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    """A server that calls bright windows an alarm, and puts them into words that look like HTML."""
    with bright_server() as running:
        running.routes["/tokenize"] = tokens
        running.default = lambda request: (
            stream("Yes", NOT_HTML, logprobs=SAYS_YES)
            if request.body.get("stream") and is_bright(request)
            else look(request)
        )
        yield running


@pytest.fixture(scope="module")
def scripted_site(scripted: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages before the scripted server."""
    with site_at(scripted.url, "--model", "tiny", folder=tmp_path_factory.mktemp("scripted")) as running:
        yield running


def tokens(request: Request) -> Reply:
    """Each verdict word of `configs/tasks` is one token."""
    return Reply(body={"tokens": [7 if request.body["prompt"] in {"是的", "Yes", "yes"} else 9]})


@pytest.fixture(autouse=True)
def _unasked(scripted: ScriptedServer) -> None:
    scripted.forget()


def opened(visitors: Visitors, site: Site, **more: object) -> Page:
    page = visitors.visit(site.url, **more)  # type: ignore[arg-type]
    page.locator("[role=tab]").nth(1).click()
    expect(page.locator("#analysis-question textarea")).not_to_have_value("")
    return page


def start(page: Page) -> None:
    page.locator("#analysis-start").click()


def rows(page: Page) -> list[tuple[float, str]]:
    """Start and kind of every window that is listed."""
    found = page.eval_on_selector_all(
        "#analysis-stage .va-row", "all => all.map(row => [Number(row.dataset.second), row.className])"
    )
    return [(second, re.sub(r".*is-(\w+).*", r"\1", kind)) for second, kind in found]


def until_done(page: Page) -> None:
    expect(page.locator("#analysis-jsonl")).to_be_visible()
    expect(page.locator("#analysis-stage .va-facts")).to_contain_text(re.compile("^(done|stopped|完成)"))


def position(page: Page) -> float:
    return float(page.eval_on_selector("#analysis-stage .va-video", "video => video.currentTime"))


def is_loaded(page: Page) -> None:
    """Waits until the player can show its film, and so can be sent to a second of it."""
    page.wait_for_function("document.querySelector('#analysis-stage .va-video').readyState > 1")


def test_a_video_is_judged_window_by_window_and_a_click_leads_there(
    site: Site, visitors: Visitors, thirty: Path, tmp_path: Path
) -> None:
    page = opened(visitors, site)
    choose(page, thirty)
    start(page)
    page.locator("#analysis-stage .va-row").first.wait_for()
    visitors.shoot(page, "analysis-first-verdicts")
    until_done(page)
    assert [second for second, _ in rows(page)] == [*(2.0 * k for k in range(14)), 27.0]
    is_loaded(page)
    assert page.eval_on_selector("#analysis-stage .va-video", "video => video.error === null && video.duration > 29")
    page.eval_on_selector("#analysis-stage .va-video", "video => video.pause()")
    page.locator("#analysis-stage .va-window").nth(6).click()
    expect(page.locator("#analysis-stage .va-row").nth(6)).to_have_attribute("aria-current", "true")
    assert position(page) == pytest.approx(12.0, abs=0.1)
    expect(page.locator("#analysis-plot .js-plotly-plot")).to_be_visible()
    visitors.shoot(page, "analysis-done")
    page.locator("#analysis-results").scroll_into_view_if_needed()
    expect(page.locator("#analysis-plot .js-plotly-plot")).to_have_attribute("data-leads", "here")
    page.locator("#analysis-plot .point").nth(3).click(force=True)
    page.wait_for_function("document.querySelector('#analysis-stage .va-video').currentTime === 6")
    visitors.shoot(page, "analysis-results")
    downloads_open(page, tmp_path)
    assert visitors.complaints == []


def downloads_open(page: Page, folder: Path) -> None:
    """Fetches the three files and looks into each."""
    lines = [json.loads(line) for line in downloaded(page, "jsonl", folder).read_text().splitlines()]
    assert len([line for line in lines if "outcome" in line]) == 15
    assert downloaded(page, "srt", folder).read_text().startswith("1\n00:00:00,000 --> ")
    page.locator("#analysis-draw").click()
    expect(page.locator("#analysis-film")).to_be_visible()
    with av.open(str(downloaded(page, "film", folder))) as container:
        assert sum(1 for _ in container.decode(video=0)) == 240


def downloaded(page: Page, name: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.locator(f"#analysis-{name}").click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name.startswith("analysis.")
    return path


def test_the_first_verdict_is_shown_while_the_server_works_on_the_others(
    scripted: ScriptedServer, scripted_site: Site, visitors: Visitors, thirty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(look, answered=FILE_IN_FLIGHT)
    monkeypatch.setattr(scripted, "default", gate)
    page = opened(visitors, scripted_site)
    choose(page, thirty)
    start(page)
    page.locator("#analysis-stage .va-row").first.wait_for()
    assert len(rows(page)) <= FILE_IN_FLIGHT
    gate.open()
    until_done(page)
    assert len(rows(page)) == 15


class Gate:
    """Answers the first requests of a server at once, and the others when it is opened."""

    def __init__(self, answer: Callable[[Request], Reply], *, answered: int = 0) -> None:
        self._answer = answer
        self._free = threading.Semaphore(answered)
        self._opened = threading.Event()

    def open(self) -> None:
        """Lets every request pass, those that wait too."""
        self._opened.set()

    def __call__(self, request: Request) -> Reply:
        if not self._free.acquire(blocking=False):
            self._opened.wait(HANG_S)
        return self._answer(request)


def test_live_goes_on_from_the_player_and_back_to_every_window(site: Site, visitors: Visitors, thirty: Path) -> None:
    page = opened(visitors, site)
    choose(page, thirty)
    start(page)
    until_done(page)
    is_loaded(page)
    page.eval_on_selector("#analysis-stage .va-video", "video => { video.currentTime = 9 }")
    page.locator("#analysis-live").click()
    expect(page.locator("#analysis-stage .va-live")).to_be_visible()
    page.wait_for_function(
        """() => {
          const rows = document.querySelectorAll("#analysis-stage .va-row").length;
          return rows > 5 && rows < 15;
        }"""
    )
    # What was of later seconds is gone, and a busy machine drops some of the first live windows.
    listed = [second for second, _ in rows(page)]
    begun_s = position(page)
    assert listed[:4] == [0.0, 2.0, 4.0, 6.0] and listed[-1] <= begun_s
    page.wait_for_function(FOLLOWS_TO, arg=min(begun_s + 8, 26.0))
    visitors.shoot(page, "analysis-live")
    assert "dropped" in page.locator("#analysis-stage .va-facts").inner_text()
    page.locator("#analysis-live").click()
    until_done(page)
    expect(page.locator("#analysis-stage .va-live")).to_be_hidden()
    assert [second for second, _ in rows(page)] == [*(2.0 * k for k in range(14)), 27.0]
    visitors.shoot(page, "analysis-back-from-live")


def test_live_leaves_out_what_the_server_was_too_slow_for(
    scripted: ScriptedServer, scripted_site: Site, visitors: Visitors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(visitors, scripted_site)
    choose(page, film(tmp_path / "long.mp4", seconds=90))
    start(page)
    until_done(page)
    is_loaded(page)
    page.eval_on_selector("#analysis-stage .va-video", "video => { video.currentTime = 3 }")
    # The question which form of the pictures the server takes is answered: without that nothing is asked.
    gate = Gate(look, answered=1)
    monkeypatch.setattr(scripted, "default", gate)
    page.locator("#analysis-live").click()
    # What came of later seconds goes; windows that are dropped take its place one by one.
    page.wait_for_function(
        "![...document.querySelectorAll('#analysis-stage .va-row')].some(row => Number(row.dataset.second) > 60)"
    )
    page.wait_for_function("document.querySelector('#analysis-stage .va-video').currentTime > 20")
    gate.open()
    page.wait_for_function(FOLLOWS_TO, arg=20)
    page.locator("#analysis-stop").click()
    expect(page.locator("#analysis-stage .va-facts")).to_contain_text("stopped")
    assert re.search("dropped [1-9]", page.locator("#analysis-stage .va-facts").inner_text())


def test_stop_ends_at_once_and_the_server_is_asked_no_more(
    scripted: ScriptedServer, scripted_site: Site, visitors: Visitors, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "default", lambda request: look(request, delay_s=0.5))
    page = opened(visitors, scripted_site)
    choose(page, long)
    start(page)
    page.locator("#analysis-stage .va-row").nth(2).wait_for()
    page.locator("#analysis-stop").click()
    expect(page.locator("#analysis-stage .va-facts")).to_contain_text("stopped")
    visitors.shoot(page, "analysis-stopped")
    assert len(rows(page)) < LONG_WINDOWS
    assert scripted.wait_until_quiet() < LONG_WINDOWS
    expect(page.locator("#analysis-stop")).to_be_disabled()


def says_yes(request: Request) -> Reply:
    """An alarm, whatever is seen."""
    if request.body.get("stream"):
        return stream("Yes", ", a bar.", logprobs=SAYS_YES)
    return Reply(body=yes(-0.02, -4.0).body, delay_s=0.2)


def test_the_buttons_keep_their_words_over_a_switch_and_stop_ends_the_drawing_too(
    scripted: ScriptedServer, scripted_site: Site, visitors: Visitors, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "default", lambda request: look(request, delay_s=0.2))
    page = opened(visitors, scripted_site)
    choose(page, long)
    start(page)
    page.locator("#analysis-stage .va-row").nth(2).wait_for()
    page.locator("#analysis-live").click()
    expect(page.locator("#analysis-live")).to_have_text("● Live")
    expect(page.locator("#analysis-stop")).to_have_text("Stop")
    expect(page.locator("#analysis-stage .va-live")).to_be_visible()
    # What came of later seconds goes, so Stop waits for a window that was asked about since.
    monkeypatch.setattr(scripted, "default", says_yes)
    page.locator("#analysis-stage .va-row.is-alarm").first.wait_for()
    page.locator("#analysis-stop").click()
    until_done(page)
    page.locator("#analysis-draw").click()
    expect(page.locator("#analysis-draw")).to_contain_text("Creating")
    page.locator("#analysis-stop").click()
    expect(page.locator("#analysis-draw")).to_have_text("Create the annotated video")
    expect(page.locator("#analysis-film")).to_be_hidden()
    expect(page.locator("#analysis-stop")).to_be_disabled()


def test_another_start_takes_the_place_of_what_is_under_way(
    scripted: ScriptedServer,
    scripted_site: Site,
    visitors: Visitors,
    long: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scripted, "default", lambda request: look(request, delay_s=0.5))
    page = opened(visitors, scripted_site)
    choose(page, long)
    start(page)
    page.locator("#analysis-stage .va-row").nth(2).wait_for()
    page.locator("#analysis-file [aria-label='Clear']").click()
    choose(page, film(tmp_path / "second.mp4", seconds=40))
    page.locator("#analysis-start").dblclick()
    expect(page.locator("#analysis-stage .va-name")).to_have_text("second.mp4")
    until_done(page)
    assert len(rows(page)) == 20
    assert scripted.wait_until_quiet() < LONG_WINDOWS
    expect(page.locator("#analysis-stage .va-name")).to_have_text("second.mp4")


def test_an_analysis_ends_when_its_visitor_leaves(
    scripted: ScriptedServer, scripted_site: Site, visitors: Visitors, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "default", lambda request: look(request, delay_s=0.5))
    page, other = (opened(visitors, scripted_site) for _ in range(2))
    choose(page, long)
    start(page)
    page.locator("#analysis-stage .va-row").nth(2).wait_for()
    assert rows(other) == []  # what one visitor does is not seen by another
    page.close()
    assert scripted.wait_until_quiet() < LONG_WINDOWS


def test_a_camera_txt_opens_the_camera_live_and_only_allowed_ones(
    site: Site, visitors: Visitors, camera_port: int, thirty: Path, tmp_path: Path
) -> None:
    page = opened(visitors, site)
    (tmp_path / "far.txt").write_text("rtsp://10.9.8.7/live\n")
    choose(page, tmp_path / "far.txt")
    start(page)
    expect(page.locator("#analysis-notice")).to_contain_text("not available on these pages")
    page.get_by_label("Remove").or_(page.get_by_label("Clear")).first.click()
    with rtsp_server.running(thirty, port=camera_port) as camera:
        (tmp_path / "camera.txt").write_text(camera.address() + "\n")
        choose(page, tmp_path / "camera.txt")
        start(page)
        page.locator("#analysis-stage .va-row").nth(1).wait_for()
        expect(page.locator("#analysis-stage .va-picture")).to_be_visible()
        expect(page.locator("#analysis-stage .va-live")).to_be_visible()
        visitors.shoot(page, "analysis-camera")
        page.locator("#analysis-stop").click()
        expect(page.locator("#analysis-stage .va-facts")).to_contain_text("stopped")
        until_done(page)


def test_a_camera_of_the_server_is_chosen_from_the_list_and_another_that_is_away_is_told(
    scripted: ScriptedServer, visitors: Visitors, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        yard = film(tmp_path / "yard.mp4", seconds=8, bright=[(3, 8)])
        camera = stack.enter_context(rtsp_server.running(yard))
        configured = tmp_path / "cameras.yaml"
        configured.write_text(f"sources: [{camera.address('yard')}, {tmp_path / 'away.txt'}]\n")
        words = ("--model", "tiny", "--config", str(configured))
        site = stack.enter_context(site_at(scripted.url, *words, folder=tmp_path / "site"))
        page = opened(visitors, site)
        page.locator("#analysis-source").get_by_text("Camera on this server").click()
        expect(page.locator("#analysis-camera input")).to_have_value(camera.address("yard"))
        expect(page.locator("#analysis-missing")).to_contain_text("away.txt")
        visitors.shoot(page, "analysis-server-camera-chosen")
        start(page)
        page.locator("#analysis-stage .va-row.is-alarm").first.wait_for()
        expect(page.locator("#analysis-stage .va-name")).to_have_text(camera.address("yard"))
        expect(page.locator("#analysis-stage .va-live")).to_be_visible()
        expect(page.locator("#analysis-stage .va-facts")).to_contain_text("s behind")
        page.wait_for_function("document.querySelector('#analysis-stage .va-picture').naturalWidth === 128")
        moves(page)
        visitors.shoot(page, "analysis-server-camera")
        camera.process.kill()
        expect(page.locator("#analysis-stage .va-picture.is-old")).to_be_visible()
        expect(page.locator("#analysis-stage .va-facts")).to_contain_text("waiting for the camera")
        expect(page.locator("#analysis-stage .va-live")).to_be_hidden()
        visitors.shoot(page, "analysis-server-camera-lost")
        page.locator("#analysis-stop").click()
        expect(page.locator("#analysis-stage .va-facts")).to_contain_text("stopped")
        until_done(page)
        listed = rows(page)
        scripted.wait_until_quiet(quiet_s=3.0)
        assert rows(page) == listed
        visitors.shoot(page, "analysis-server-camera-stopped")


def moves(page: Page) -> None:
    """Waits until another picture of the camera is shown."""
    page.evaluate("window.seen = document.querySelector('#analysis-stage .va-picture').src")
    page.wait_for_function("document.querySelector('#analysis-stage .va-picture').src !== window.seen")


def test_alarms_stand_out_with_their_words_which_are_never_html(
    scripted_site: Site, visitors: Visitors, thirty: Path
) -> None:
    page = opened(visitors, scripted_site)
    choose(page, thirty)
    start(page)
    until_done(page)
    kinds = [kind for _, kind in rows(page)]
    assert kinds == ["normal"] * 4 + ["alarm"] * 5 + ["normal"] * 6
    expect(page.locator("#analysis-stage .va-row.is-alarm .va-words").first).to_contain_text("<img src=x")
    expect(page.locator("#analysis-events")).to_contain_text("<img src=x")
    assert page.locator("#analysis-stage .va-words img, #analysis-events img").count() == 0
    is_loaded(page)
    page.eval_on_selector("#analysis-stage .va-video", "video => video.pause()")
    page.locator("#analysis-events .va-jump").first.click()
    assert position(page) == pytest.approx(8.0, abs=0.1)
    assert page.evaluate("window.broken") is None
    visitors.shoot(page, "analysis-alarms")
    page.locator("#vigil-theme").click()
    visitors.shoot(page, "analysis-alarms-dark")


def test_a_question_for_words_gets_words_and_no_probability(
    scripted: ScriptedServer, scripted_site: Site, visitors: Visitors, thirty: Path
) -> None:
    page = opened(visitors, scripted_site)
    scripted.queue(*[stream("A bar moves ", "to the right.")] * 15)
    choose(page, thirty)
    page.locator("#analysis-question textarea").fill("What happens?")
    expect(page.locator("#analysis-hint")).to_contain_text("no probability")
    start(page)
    until_done(page)
    assert {kind for _, kind in rows(page)} == {"words"}
    expect(page.locator("#analysis-stage .va-words").first).to_have_text("A bar moves to the right.")
    expect(page.locator("#analysis-plot")).to_be_hidden()
    expect(page.locator("#analysis-results")).not_to_contain_text("Events")
    expect(page.locator("#analysis-results")).not_to_contain_text("Probability")
    visitors.shoot(page, "analysis-words")


def test_a_video_that_no_browser_plays_is_shown_in_a_copy(
    scripted_site: Site, visitors: Visitors, tmp_path: Path
) -> None:
    page = opened(visitors, scripted_site)
    shoot(tmp_path / "old.avi", codec="mjpeg", pixels="yuvj420p", frames=150)
    choose(page, tmp_path / "old.avi")
    start(page)
    until_done(page)
    assert [second for second, _ in rows(page)] == [0.0, 2.0, 3.0]
    is_loaded(page)
    page.locator("#analysis-stage .va-window").nth(1).click()
    page.wait_for_function("document.querySelector('#analysis-stage .va-video').currentTime >= 2")
    visitors.shoot(page, "analysis-avi")


def test_wrong_files_are_refused_in_words(scripted_site: Site, visitors: Visitors, tmp_path: Path) -> None:
    page = opened(visitors, scripted_site)
    start(page)
    expect(page.locator("#analysis-notice")).to_contain_text("Choose a video")
    (tmp_path / "broken.mp4").write_bytes(bytes(range(256)) * 20)
    choose(page, tmp_path / "broken.mp4")
    start(page)
    expect(page.locator("#analysis-notice")).to_contain_text("cannot be analysed")
    visitors.shoot(page, "analysis-refused")


def test_an_endpoint_that_goes_away_is_told_and_the_analysis_goes_on_when_it_is_back(
    visitors: Visitors, tmp_path: Path
) -> None:
    port = free_port()
    with bright_server(delay_s=0.3, port=port) as first, ExitStack() as stack:
        first.routes["/tokenize"] = tokens
        site = stack.enter_context(site_at(first.url, "--model", "tiny", folder=tmp_path))
        page = opened(visitors, site)
        choose(page, film(tmp_path / "a.mp4", seconds=120, bright=[(30, 40)]))
        start(page)
        page.locator("#analysis-stage .va-row").nth(3).wait_for()
        first.default = Reply(status=503, body={"error": {"message": "loading"}})
        expect(page.locator("#analysis-stage .va-facts")).to_contain_text("the endpoint does not respond")
        visitors.shoot(page, "analysis-endpoint-away")
        first.default = look
        until_done(page)
        assert "unknown" not in {kind for _, kind in rows(page)}
        assert len(rows(page)) == 60
    visitors.complaints.clear()


def test_it_works_on_a_phone_and_in_chinese(scripted_site: Site, visitors: Visitors, thirty: Path) -> None:
    page = opened(visitors, scripted_site, language="zh-CN", size=PHONE)
    expect(page.locator("#analysis-start")).to_have_text("开始")
    visitors.shoot(page, "analysis-phone-empty")
    choose(page, thirty)
    start(page)
    until_done(page)
    settle(page)
    visitors.shoot(page, "analysis-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.locator("#analysis-results").scroll_into_view_if_needed()
    visitors.shoot(page, "analysis-phone-results")
