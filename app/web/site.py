"""The web application: the console's pages, one of Gradio's per language, routes, middleware and background jobs.

`build_app(context)` returns all of it as an ASGI application. Gradio is loaded at the first visit of a page of its own.
"""

import logging
from functools import partial
from threading import Lock

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.middleware.cors import CORSMiddleware

from vigil.environments import gc_frozen

from ..allowed_routes import is_start_page
from ..api.app import mount_api
from ..background_jobs import background_jobs
from ..console.assets import ConsoleAssets
from ..console.pages import add_console, strip_head
from ..gate import add_gate
from ..language import LANGUAGE_COOKIE, LANGUAGES, Language, choose_language
from .context import SiteContext
from .event_store import media_folders
from .head_script import HeadScriptMiddleware
from .json_limits import JsonLimits
from .late_app import LateApp, with_late_apps
from .root_path import RootPath, WithRootPath
from .served_files import add_file_route
from .upload_gate import UploadGate
from .upload_quota import UploadQuota

log = logging.getLogger(__name__)


YEAR_S = 365 * 24 * 3600

BUILDING = Lock()
"""Held while a page is built: Gradio keeps which one that is in a variable of its module."""


def build_app(context: SiteContext) -> FastAPI:
    """Builds the whole application, with a page for every language; the language of `context` is ignored."""
    assets = ConsoleAssets.read()
    pages = {language: LateApp(partial(gradio_page, context, language, assets)) for language in LANGUAGES}
    lifespan = with_late_apps(background_jobs(context), pages.values())
    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    _add_routes(app, context.options.root)
    add_file_route(app, lambda: [context.uploads.folder, *media_folders(context)])
    mount_api(app, context)
    add_console(app, context, assets)
    for language, page in pages.items():
        app.mount(f"/{language}", page)
    options = context.options
    app.add_middleware(WithRootPath, root=options.root)
    app.add_middleware(CORSMiddleware, allow_origins=())
    app.add_middleware(HeadScriptMiddleware)
    app.add_middleware(JsonLimits)
    quota = UploadQuota(context.uploads.folder, options.upload_limits, keep_s=options.keep_uploads_s)
    app.add_middleware(UploadGate, quota=quota)
    add_gate(app, options, takes_uploads=True)
    return app


def gradio_page(context: SiteContext, language: Language, assets: ConsoleAssets) -> FastAPI:
    """Loads Gradio and builds its page in a language: 4 s of CPU the first time, 1 s for another language."""
    with BUILDING, gc_frozen():
        from .gradio_pages import gradio_app

        return gradio_app(context, language, strip=strip_head(context, assets, language))


def _add_routes(app: FastAPI, root: RootPath) -> None:
    remembered = root.cookie_name(LANGUAGE_COOKIE)

    def start_page(request: Request, language: Language) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(root.url(f"/{language}/{query}"), status_code=307)

    @app.get("/")
    def start(request: Request) -> Response:
        wished = choose_language(request.cookies.get(remembered), request.headers.get("accept-language", ""))
        return start_page(request, wished)

    for each in LANGUAGES:
        # Starlette's own redirect would use its host and scheme, which may be wrong behind a proxy.
        app.add_api_route(f"/{each}", partial(start_page, language=each), methods=["GET", "HEAD"])

    @app.get("/language/{language}")
    def switch(language: str, page: str = "") -> Response:
        chosen = choose_language(language, "")
        place = f"/{chosen}/{page}"
        # A page is one of this site's, never an address that begins another one.
        answer = RedirectResponse(root.url(place if is_start_page("GET", place) else f"/{chosen}/"), status_code=303)
        answer.set_cookie(remembered, chosen, max_age=YEAR_S, path=root.cookie_path, httponly=True, samesite="lax")
        return answer
