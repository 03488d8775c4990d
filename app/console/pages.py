"""The console's pages: their routes, the shell that is rendered here, and what the shell tells the scripts.

A page is the same shell (`shell.html`) around an empty `<main>`, which its module fills from the service. Words come
from `app/texts` and travel in the page as JSON; what is shown of cameras and models comes from the service and is never
written as HTML.
"""

import html
import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from ..language import LANGUAGES, Language, Translator, translator
from ..principal import Principal
from ..web.context import SiteContext
from .assets import ConsoleAssets
from .pictures import add_pictures

SHELL = (Path(__file__).resolve().parent / "shell.html").read_text(encoding="utf-8")
PLACEHOLDER = re.compile(r"\{\{([\w.]+)\}\}")
TAGS: dict[Language, str] = {"en": "en", "zh": "zh-CN"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
ASSET_HEADERS = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """One page: its name, the script that fills it, its style, and the prefixes of the words that it needs."""

    name: str
    script: str
    style: str
    words: tuple[str, ...]


WATCH = ConsolePage("watch", "watch.js", "watch.css", ("console.", "watch."))
EVENTS = ConsolePage("events", "review.js", "review.css", ("console.", "events."))
ASK = ConsolePage("ask", "ask.js", "ask.css", ("console.", "ask."))
REPORT = ConsolePage("report", "report.js", "report.css", ("console.", "report."))
PAGES = (WATCH, EVENTS, ASK, REPORT)


def add_console(app: FastAPI, context: SiteContext, assets: ConsoleAssets) -> None:
    """Adds the routes of the console; they come before Gradio's mounts, which take everything below a language."""
    shell = ConsoleShell(context, assets)
    add_pictures(app, context)
    for language in LANGUAGES:
        for page in PAGES:
            answer = partial(shell.answer, language=language, page=page)
            app.add_api_route(f"/{language}/{page.name}", answer, methods=["GET", "HEAD"])
        one = partial(shell.answer_event, language=language)
        app.add_api_route(f"/{language}/events/{{event}}", one, methods=["GET", "HEAD"])

    @app.api_route("/console/static/{digest}/{name}", methods=["GET", "HEAD"])
    async def asset(digest: str, name: str) -> Response:
        found = assets.files.get(name)
        if found is None:
            return PlainTextResponse("there is no such file\n", status_code=404)
        # An older page, open since before an upgrade, gets the present file, but does not keep it.
        headers = ASSET_HEADERS if digest == assets.digest else {"Cache-Control": "no-store"}
        return Response(found.body, media_type=found.media_type, headers=headers)


class ConsoleShell:
    """Renders the shell of a page for one visitor."""

    def __init__(self, context: SiteContext, assets: ConsoleAssets) -> None:
        self._context = context
        self._assets = assets

    async def answer(self, request: Request, *, language: Language, page: ConsolePage) -> Response:
        """A page."""
        return self._render(request, language, page)

    async def answer_event(self, request: Request, event: str, *, language: Language) -> Response:
        """The page of one event."""
        return self._render(request, language, EVENTS, event=event)

    def _render(self, request: Request, language: Language, page: ConsolePage, *, event: str = "") -> Response:
        t, root = translator(language), self._context.options.root
        caller: Principal = request.scope["vigil_principal"]
        place = f"{page.name}/{event}" if event else page.name
        raw = {
            "words": words_json(t, page.words),
            "sign_out": self._sign_out(t),
            "preloads": self._preloads(page),
        } | {f"current_{each.name}": ' aria-current="page"' if page == each else "" for each in PAGES}
        told = {
            "tag": TAGS[language],
            "language": language,
            "root": root.url("/"),
            "page": page.name,
            "event": event,
            "role": caller.role.value,
            "name": caller.name if self._context.options.directory else "",
            "title": t(f"console.{page.name}"),
            "switch": root.url(f"/language/{t('site.other_language_code')}?page={place}"),
            "script": root.url(self._assets.path(page.script)),
            "style": root.url(self._assets.path("console.css")),
            "page_style": root.url(self._assets.path(page.style)),
            "strip_style": root.url(self._assets.path("strip.css")),
            "theme_script": root.url(self._assets.path("theme.js")),
            "sign_out_script": root.url(self._assets.path("sign_out.js")),
        }
        return HTMLResponse(filled(SHELL, t, told, raw), headers=PAGE_HEADERS)

    def _preloads(self, page: ConsolePage) -> str:
        """Links to all modules that a page imports, so that a browser need not find one after the other."""
        root = self._context.options.root
        names = sorted(self._assets.modules_of(page.script))
        return "".join(f'<link rel="modulepreload" href="{root.url(self._assets.path(name))}">' for name in names)

    def _sign_out(self, t: Translator) -> str:
        if not self._context.options.directory:
            return ""
        action = html.escape(self._context.options.root.url("/sign-out"))
        label = html.escape(t("console.sign_out"))
        return (
            f'<form method="post" action="{action}"><button id="sign-out" class="rail-button">'
            f'<svg aria-hidden="true"><use href="#icon-out"/></svg><span>{label}</span></button></form>'
        )


def filled(template: str, t: Translator, told: dict[str, str], raw: dict[str, str]) -> str:
    """The template with its placeholders: `{{console.x}}` is a text, others are `told` (escaped) or `raw` (as is)."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in raw:
            return raw[name]
        return html.escape(told[name] if name in told else t(name))

    return PLACEHOLDER.sub(value, template)


def words_json(t: Translator, prefixes: tuple[str, ...]) -> str:
    """The texts with one of these prefixes as JSON that may stand in HTML."""
    words = {key: text for key, text in t.texts.items() if key.startswith(prefixes)}
    return json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")


def strip_head(context: SiteContext, assets: ConsoleAssets, language: Language) -> str:
    """What the head of a page that is not the console's needs for the alarm strip."""
    root = context.options.root
    return (
        f'<link rel="stylesheet" href="{root.url(assets.path("strip.css"))}">\n'
        f'<script type="application/json" id="vigil-words">{words_json(translator(language), ("console.",))}</script>\n'
        f'<script src="{root.url(assets.path("sign_out.js"))}"></script>\n'
        f'<script type="module" src="{root.url(assets.path("everywhere.js"))}"></script>'
    )
