"""The site: one page with its tabs for each language, the gate before them, and what runs behind them.

`build_app(context)` is the whole of it as an ASGI application. A tab is there when its module is.
"""

import asyncio
import contextlib
import html
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.middleware.cors import CORSMiddleware

from app.web import bell_route, curve, handover, idle, notify, size, theme
from app.web.access import AccessOptions, Gate
from app.web.bell import Bell
from app.web.body_limits import BodyLimits
from app.web.context import SiteContext
from app.web.first_lines import FirstLines
from app.web.history import media_folders, store_of
from app.web.language import LANGUAGE_COOKIE, LANGUAGES, Language, choose_language, translator
from app.web.page import Page
from app.web.playable import copies_of
from app.web.proxies import ForwardedHeaders
from app.web.quota import Quota
from app.web.served_files import add_file_route
from app.web.status import EVERY_S, Status, status_line
from app.web.upload_gate import UploadGate

if TYPE_CHECKING:
    from vigil.watch.service import WatchService

log = logging.getLogger(__name__)

SWEEP_S = 60.0
FORM_BYTES = 64 * 1024
"""What stands around the files of an upload."""

MOST_WAITING = 100
"""Events that wait in Gradio's queue, for each language; who comes then is told that it is full."""

YEAR_S = 365 * 24 * 3600

SCRIPTS = Path(__file__).resolve().parent / "scripts"
SESSION_SCRIPT = (SCRIPTS / "session.js").read_text(encoding="utf-8")
PLACE_SCRIPT = (SCRIPTS / "place.js").read_text(encoding="utf-8")

PANELS = (("chat", "chat"), ("analysis", "analysis"), ("room", "room"), ("review", "review"))
"""Tab and module of each panel, in the order of the tabs."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One tab: its name and the module that fills it with `panel(context)`; `CSS` and `HEAD` there are added."""

    name: str
    module: ModuleType

    @property
    def fill(self) -> Callable[[SiteContext], Any]:
        """Lays out the components of the tab; what it returns others may connect to."""
        function: Callable[[SiteContext], Any] = self.module.panel
        return function


def panels() -> list[Panel]:
    """The tabs whose modules are there."""
    found = ((name, f"app.web.{module}") for name, module in PANELS)
    return [Panel(name, import_module(path)) for name, path in found if find_spec(path) is not None]


def build(context: SiteContext) -> gr.Blocks:
    """The page in the language of the context."""
    t = context.t
    page = Page(title=t("site.title"), fill_width=True, trouble=t("site.trouble"))
    page.queue(max_size=MOST_WAITING)
    idle.poll_less(page)
    filled: dict[str, Any] = {}
    with page:
        _head(context)
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            for panel in panels():
                with gr.Tab(t(f"site.tab_{panel.name}"), id=panel.name, elem_id=f"tab-{panel.name}"):
                    filled[panel.name] = panel.fill(context)
        handover.connect(context, filled["chat"], filled["analysis"], tabs)
    return page


def _head(context: SiteContext) -> None:
    t = context.t
    with gr.Row(elem_classes="vigil-head"):
        title, subtitle = html.escape(t("site.title")), html.escape(t("site.subtitle"))
        gr.HTML(f'<h1>{title} <span class="vigil-subtitle">{subtitle}</span></h1>', scale=3)
        gr.HTML(
            f'<div class="vigil-tools"><button type="button" id="vigil-theme" onclick="{theme.SWITCH_THEME}">'
            f'{html.escape(t("site.theme"))}</button><a id="vigil-language" '
            f'href="../language/{t("site.other_language_code")}">{html.escape(t("site.other_language"))}</a>'
            f"{_sign_out(context)}</div>",
            scale=1,
        )

    def line() -> str:
        return status_line(context.status.now, context.endpoint, t)

    shown = gr.HTML(status_line(Status(), context.endpoint, t), elem_id="vigil-status")
    # Without a trigger it runs when the page is opened.
    for trigger in (None, gr.Timer(EVERY_S).tick):
        gr.on(trigger, line, outputs=shown, queue=False, **idle.SILENT)


def _sign_out(context: SiteContext) -> str:
    if not context.options.users:
        return ""
    label = html.escape(context.t("site.sign_out"))
    return f'<form method="post" action="../sign-out"><button id="vigil-sign-out">{label}</button></form>'


def build_app(context: SiteContext) -> FastAPI:
    """All pages behind the gate; the context's language is left aside, every language gets its page."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        jobs = [asyncio.create_task(context.status.follow()), asyncio.create_task(_sweep(context))]
        if context.service is not None:
            context.service.start()
        try:
            yield
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            await asyncio.to_thread(copies_of(context).stop)
            if context.service is not None:
                await asyncio.to_thread(context.service.stop)

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    _add_routes(app)
    add_file_route(app, lambda: [context.uploads.folder, *media_folders(context)])
    if context.service is not None:
        _hang_bell(app, context, context.service)
    modules = [panel.module for panel in panels()]
    for language in LANGUAGES:
        gr.mount_gradio_app(
            app,
            build(replace(context, t=translator(language))),
            path=f"/{language}",
            server_name=context.options.host,
            server_port=context.options.port,
            auth_dependency=(lambda request: request.user.display_name) if context.options.users else None,
            allowed_paths=[str(folder) for folder in media_folders(context)],
            max_file_size=f"{context.options.upload_mb}mb",
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            show_error=False,
            pwa=False,
            theme=theme.theme(),
            css="\n".join([theme.CSS, *(getattr(module, "CSS", "") for module in modules)]),
            head="\n".join([*heads(context, language), *(getattr(module, "HEAD", "") for module in modules)]),
        )
    options = context.options
    # Gradio tells every site that it may read the pages, unless the application has rules of its own: none may.
    app.add_middleware(CORSMiddleware, allow_origins=())
    app.add_middleware(FirstLines)
    limits = options.upload_limits
    app.add_middleware(UploadGate, quota=Quota(context.uploads.folder, limits, keep_s=options.keep_uploads_s))
    app.add_middleware(BodyLimits, upload_bytes=limits.visitor_bytes + FORM_BYTES)
    access = AccessOptions(users=options.users, session_s=options.session_s, port=options.port)
    app.add_middleware(Gate, options=access)
    app.add_middleware(ForwardedHeaders, trusted=options.trusted_proxies)
    return app


def heads(context: SiteContext, language: Language) -> list[str]:
    """What the head of every page holds; where nothing is watched there is nothing to ring for."""
    limit = size.head(language, upload_mb=context.options.upload_mb)
    signed_in = [f"<script>\n{SESSION_SCRIPT}</script>"] if context.options.users else []
    bell_head = [] if context.service is None else [notify.head(language)]
    place = f"<script>\n{PLACE_SCRIPT}</script>"
    return [theme.HEAD, curve.HEAD, limit, place, *signed_in, *bell_head]


def _hang_bell(app: FastAPI, context: SiteContext, service: "WatchService") -> None:
    hung = Bell(store_of(context))
    service.subscribe(hung)
    bell_route.add_route(app, hung)


def _add_routes(app: FastAPI) -> None:
    @app.get("/")
    def root(request: Request) -> Response:
        wished = choose_language(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/{wished}/{query}", status_code=307)

    @app.get("/language/{language}")
    def switch(language: str) -> Response:
        chosen = choose_language(language, "")
        answer = RedirectResponse(f"/{chosen}/", status_code=303)
        answer.set_cookie(LANGUAGE_COOKIE, chosen, max_age=YEAR_S, httponly=True, samesite="lax")
        return answer


async def _sweep(context: SiteContext) -> None:
    while True:
        try:
            await asyncio.to_thread(context.uploads.sweep)
        except Exception:
            log.exception("what visitors sent could not be swept; it is tried again")
        await asyncio.sleep(SWEEP_S)
