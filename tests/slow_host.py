"""A host slower than this one, to see races: `VIGIL_SLOW_BROWSER=6` for the tests of pages, nothing without it.

Then pages have a sixth of their time and so has their server once it is up; each request takes 0.12 s more, each answer
to a script up to 0.6 s more than that, at random, and news of the server come 0.6 s late.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil
from playwright.sync_api import BrowserContext, Page
from playwright.sync_api import Error as PlaywrightError

TIMES = float(os.environ.get("VIGIL_SLOW_BROWSER", "1"))
"""How many times slower pages and their server are."""

LATENCY_MS = 20.0
ANSWER_MS = 100.0
PULSE_S = 0.1
RENDERER = "--type=renderer"

LATE = """
(() => {
  const most = MOST_MS;
  const later = (ms) => new Promise((wake) => setTimeout(wake, ms));
  const fetched = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await fetched(...asked);
    await later(Math.random() * most);
    asked[1]?.signal?.throwIfAborted();
    return answer;
  };
  const { addEventListener: listen, close } = EventSource.prototype;
  const closed = new WeakSet();
  EventSource.prototype.close = function () {
    closed.add(this);
    return close.call(this);
  };
  EventSource.prototype.addEventListener = function (kind, hear, ...how) {
    const hearLate = (event) => setTimeout(() => closed.has(this) || hear.call(this, event), most);
    return listen.call(this, kind, hearLate, ...how);
  };
})();
"""
"""Answers come in another order than they were asked for; news of one stream stay in their order."""


def slow_down(profile: BrowserContext) -> BrowserContext:
    """Makes the answers that the pages of a profile get late, those too that are opened later."""
    if TIMES > 1:
        profile.add_init_script(LATE.replace("MOST_MS", f"{TIMES * ANSWER_MS:g}"))
        profile.on("page", _slow_down_page)
    return profile


def _slow_down_page(page: Page) -> None:
    conditions = {"offline": False, "latency": TIMES * LATENCY_MS, "downloadThroughput": -1, "uploadThroughput": -1}
    with suppress(PlaywrightError):  # a page may be gone by now
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", conditions)


@contextmanager
def slow_pages() -> Iterator[None]:
    """Every page of the browsers that this process started is slow while the block lasts."""
    with _stopped_often(_renderers):
        yield


@contextmanager
def slow_process(pid: int) -> Iterator[None]:
    """A process is slow while the block lasts."""
    with _stopped_often(lambda: [psutil.Process(pid)]):
        yield


def _renderers() -> Sequence[psutil.Process]:
    return [each for each in psutil.Process().children(recursive=True) if RENDERER in each.cmdline()]


@contextmanager
def _stopped_often(processes: Callable[[], Sequence[psutil.Process]]) -> Iterator[None]:
    """Stops them for most of each tenth of a second. Chromium has a throttle, which burns the CPU it takes away."""
    if TIMES <= 1:
        yield
        return
    over = threading.Event()
    pulse = threading.Thread(target=_pulse, args=(processes, over))
    pulse.start()
    try:
        yield
    finally:
        over.set()
        pulse.join()


def _pulse(processes: Callable[[], Sequence[psutil.Process]], over: threading.Event) -> None:
    slow: Sequence[psutil.Process] = ()
    turn = 0
    while not over.wait(PULSE_S / TIMES):
        if turn % 10 == 0:
            with suppress(psutil.Error):  # one ended just now
                slow = processes()
        turn += 1
        _signal(slow, signal.SIGSTOP)
        over.wait(PULSE_S - PULSE_S / TIMES)
        _signal(slow, signal.SIGCONT)


def _signal(processes: Sequence[psutil.Process], number: int) -> None:
    for each in processes:
        with suppress(psutil.Error):
            each.send_signal(number)
