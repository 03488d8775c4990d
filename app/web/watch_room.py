"""The watch room: every camera of the running watch live, and its events as they happen.

The grid of cameras is one component whose script calls `look` in a loop; the response is held until there is something
new and contains only that (measurements: docs/web-live-pictures.md). It bypasses Gradio's queue, so that visitors do
not wait for each other.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from vigil.errors import VigilError
from vigil.events import Event
from vigil.store import EventFilter

from . import notifications
from .camera_cards import CameraCards
from .chat_session import escape_html
from .context import SiteContext, error_toast
from .event_store import open_store
from .gradio_patches import SILENT
from .live_pictures import LivePictures, PageState
from .recent_verdicts import NEWEST, RecentVerdicts

if TYPE_CHECKING:
    from vigil.watch.background import BackgroundWatcher

log = logging.getLogger(__name__)

HOLD_S = 10.0
"""How long a response is held; then it is empty, and the page asks again."""

LOOK_S = 0.06
SCRIPTS = Path(__file__).resolve().parent / "scripts"
CSS = (SCRIPTS / "room.css").read_text(encoding="utf-8")
WORDS = ("picture", "no_picture", "strip", "remove", "pause", "resume", "sure", "away", "away_advice", "stage_unknown")

SKELETON = """
<div class="room">
  <div class="room-problem" role="alert" hidden></div>
  <ul class="room-warnings" hidden></ul>
  <div class="room-bar">
    <button type="button" class="room-sound"></button><button type="button" class="room-notes"></button>
    <span class="room-said" role="status"></span>
  </div>
  <div class="room-spare" hidden></div>
  <div class="room-body">
    <div><div class="room-cards"></div><div class="room-empty" hidden>{{empty}}</div></div>
    <div class="room-list"><h3>{{newest}}</h3><ol class="room-events"></ol>
      <div class="room-quiet" hidden>{{quiet}}</div></div>
  </div>
</div>
"""


def panel(context: SiteContext) -> None:
    """Lays out the watch room, or explains how to start a watch if none is running."""
    if context.service is None:
        gr.Markdown(context.t("room.no_watch"))
        return
    t = context.t
    cameras = CameraCards(context, context.service)
    live = LivePictures(context, context.service, cameras, _board(context, context.service))
    with gr.Row(equal_height=True, elem_id="room-add"):
        address = gr.Textbox(
            placeholder=t("room.add_hint"), show_label=False, container=False, scale=6, elem_id="room-address"
        )
        add = gr.Button(t("room.add"), variant="primary", scale=1, min_width=90, elem_id="room-add-button")
        file = gr.UploadButton(t("room.add_file"), file_types=[".txt"], scale=1, min_width=120)
    gr.HTML(
        html_template=SKELETON,
        js_on_load=_script(context),
        server_functions=[updater(live), actor(cameras, context)],
        apply_default_css=False,
        empty=t("room.empty"),
        newest=t("room.newest"),
        quiet=t("room.quiet"),
    )

    def add_address(text: str, request: gr.Request) -> str:
        _add_camera(lambda: cameras.add(text, request), context)
        return ""

    def add_file(path: str, request: gr.Request) -> None:
        _add_camera(lambda: cameras.add_file(Path(path), request), context)

    quick: dict[str, Any] = {**SILENT, "concurrency_limit": None}
    gr.on([add.click, address.submit], add_address, address, address, **quick)
    file.upload(add_file, file, None, **quick)


def updater(live: LivePictures) -> Callable[[dict[str, Any]], Any]:
    """The function that the script calls for updates; it responds when there are some."""

    async def look(payload: dict[str, Any]) -> dict[str, Any]:
        page = PageState.of(payload)
        give_up_s = time.monotonic() + HOLD_S
        while not live.has_update(page) and time.monotonic() < give_up_s:
            await asyncio.sleep(LOOK_S)
        return await asyncio.to_thread(live.update, page)

    return look


def actor(cameras: CameraCards, context: SiteContext) -> Callable[[dict[str, Any], gr.Request], Any]:
    """The function that the buttons of a camera's card call."""

    def act(payload: dict[str, Any], request: gr.Request) -> dict[str, Any]:
        what, name = str(payload.get("what")), str(payload.get("name"))
        try:
            if what == "add":
                cameras.add(name, request)
            else:
                cameras.act(what, name, request)
        except VigilError as error:
            return {"text": f"{context.t('room.not_done')} {error}", "problem": True}
        return {"text": context.t(f"room.did_{what}", name=name), "problem": False}

    return act


def _add_camera(action: Callable[[], str], context: SiteContext) -> None:
    try:
        name = action()
    except VigilError as error:
        raise error_toast(context.t, "room.not_added", error) from error
    gr.Info(escape_html(context.t("room.did_add", name=name)), title=context.t("site.done"))


def _board(context: SiteContext, service: "BackgroundWatcher") -> RecentVerdicts:
    board = RecentVerdicts(
        context.settings.tiers,
        _earlier(context),
        cause_name=lambda cause: context.t(f"room.cause_{cause}"),
    )
    service.subscribe(board)
    return board


def _earlier(context: SiteContext) -> list[Event]:
    """The newest events of earlier watches, so that the list is not empty after a start."""
    store = open_store(context)
    try:
        return [] if store is None else store.events.find(EventFilter(limit=NEWEST))
    except VigilError as error:
        log.warning("the events of earlier watches cannot be read: %s", error)
        return []


def _script(context: SiteContext) -> str:
    words = {word: context.t(f"room.{word}") for word in WORDS} | notifications.labels(context.t)
    room = (SCRIPTS / "room.js").read_text(encoding="utf-8")
    return f"const words = {json.dumps(words)};\n{room}"
