"""The pages of Gradio, chat and analysis: one for each language, with its tabs, styles and scripts.

`gradio_app(context, language, strip)` returns one as an application. This module loads Gradio, so `app.web.site`
imports it at the first visit of such a page.
"""

import html
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from ..endpoint_monitor import EVERY_S, EndpointStatus, status_line
from ..language import Language, translator
from . import chat_to_analysis, gradio_patches, plots, theme
from .context import SiteContext
from .event_store import media_folders
from .gradio_patches import CheckedBlocks

MOST_WAITING = 100
"""Size of Gradio's queue per language; further requests are refused with a message."""

SCRIPTS = Path(__file__).resolve().parent / "scripts"
SESSION_SCRIPT = (SCRIPTS / "session.js").read_text(encoding="utf-8")
PLACE_SCRIPT = (SCRIPTS / "place.js").read_text(encoding="utf-8")

PANELS = ("chat", "analysis")
"""The module of each panel, which is the name of its tab too, in the order of the tabs."""


@dataclass(frozen=True, slots=True)
class TabModule:
    """One tab: its name and its module, which defines `panel(context)` and optionally `CSS` and `HEAD`."""

    name: str
    module: ModuleType

    @property
    def fill(self) -> Callable[[SiteContext], Any]:
        """The module's `panel` function; it lays out the tab and returns the components other tabs may connect to."""
        function: Callable[[SiteContext], Any] = self.module.panel
        return function


def panels() -> list[TabModule]:
    """Returns the tabs, in the order in which they are shown."""
    return [TabModule(name, import_module(f".{name}", __package__)) for name in PANELS]


def build_page(context: SiteContext) -> gr.Blocks:
    """Builds the page in the language of the context."""
    t = context.t
    page = CheckedBlocks(title=t("site.title"), fill_width=True, trouble=t("site.trouble"))
    page.queue(max_size=MOST_WAITING)
    gradio_patches.slow_event_polling(page)
    filled: dict[str, Any] = {}
    with page:
        _head(context)
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            for panel in panels():
                with gr.Tab(t(f"site.tab_{panel.name}"), id=panel.name, elem_id=f"tab-{panel.name}"):
                    filled[panel.name] = panel.fill(context)
        chat_to_analysis.connect_chat_to_analysis(context, filled["chat"], filled["analysis"], tabs)
    return page


def _head(context: SiteContext) -> None:
    t = context.t
    with gr.Row(elem_classes="vigil-head"):
        title, subtitle = html.escape(t("site.title")), html.escape(t("site.subtitle"))
        gr.HTML(f'<h1>{title} <span class="vigil-subtitle">{subtitle}</span></h1>', scale=3)
        gr.HTML(
            f'<div class="vigil-tools">{_console_links(context)}'
            f'<button type="button" id="vigil-theme" onclick="{theme.SWITCH_THEME}">'
            f'{html.escape(t("site.theme"))}</button><a id="vigil-language" '
            f'href="../language/{t("site.other_language_code")}">{html.escape(t("site.other_language"))}</a>'
            f"{_sign_out(context)}</div>",
            scale=1,
        )

    def line() -> str:
        return status_line(context.status.now, context.endpoint, t)

    shown = gr.HTML(status_line(EndpointStatus(), context.endpoint, t), elem_id="vigil-status")
    # A None trigger runs when the page is loaded.
    for trigger in (None, gr.Timer(EVERY_S).tick):
        gr.on(trigger, line, outputs=shown, queue=False, **gradio_patches.SILENT)


def _console_links(context: SiteContext) -> str:
    """Links to the pages of the console; the address of this page may end in a slash or not."""
    links = [(f"../{context.language}/{page}", page) for page in ("watch", "events")]
    return "".join(
        f'<a id="vigil-{page}" href="{to}">{html.escape(context.t(f"console.{page}"))}</a>' for to, page in links
    )


def _sign_out(context: SiteContext) -> str:
    if not context.options.directory:
        return ""
    label = html.escape(context.t("site.sign_out"))
    return f'<form method="post" action="../sign-out"><button id="vigil-sign-out">{label}</button></form>'


def gradio_app(context: SiteContext, language: Language, *, strip: str) -> FastAPI:
    """One page as an application that answers below `/{language}`; `strip` is the alarm strip's part of its head."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    modules = [panel.module for panel in panels()]
    gr.mount_gradio_app(
        app,
        build_page(replace(context, t=translator(language))),
        path=f"/{language}",
        server_name=context.options.host,
        server_port=context.options.port,
        auth_dependency=(lambda request: request.user.display_name) if context.options.directory else None,
        allowed_paths=[str(folder) for folder in media_folders(context)],
        max_file_size=f"{context.options.upload_mb}mb",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        pwa=False,
        theme=theme.theme(),
        css="\n".join([theme.CSS, *(getattr(module, "CSS", "") for module in modules)]),
        head="\n".join([*heads(context, language), strip, *(getattr(module, "HEAD", "") for module in modules)]),
    )
    # Gradio allows every origin unless the application has its own CORS middleware: allow none.
    app.add_middleware(CORSMiddleware, allow_origins=())
    return app


def heads(context: SiteContext, language: Language) -> list[str]:
    """Returns the HTML for the head of every page."""
    limit = gradio_patches.upload_limit_script(language, upload_mb=context.options.upload_mb)
    signed_in = [f"<script>\n{SESSION_SCRIPT}</script>"] if context.options.directory else []
    place = f"<script>\n{PLACE_SCRIPT}</script>"
    return [theme.HEAD, plots.HEAD, limit, place, *signed_in]
