"""Builds the service: `mount_api` puts it under an application, `build_service` is an application of its own.

app = build_service(context)        # what `vigil service` serves, without Gradio
mount_api(app, context)             # what the web pages do
"""

import logging
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from vigil import __version__
from vigil.errors import VigilError

from ..background_jobs import background_jobs
from ..gate import add_gate
from ..problems import problem, problem_of
from ..web.context import SiteContext
from .ask import ask_router
from .camera_rules import own_question, rules_router, watch_rules
from .camera_views import camera_views_router
from .cameras import cameras_router
from .context import ApiContext
from .events import events_router
from .exports import exports_router
from .health import health_router
from .judge import judge_router
from .kept_answers import KeptAnswers
from .live import live_router, make_hub
from .media import media_router
from .missed import missed_router
from .observations import observations_router
from .reports import reports_router
from .review import review_router
from .schemas import Problem
from .speech import speech_router
from .strips import strips_router

log = logging.getLogger(__name__)

PATH = "/api/v1"
MOST_ERRORS = 20

DESCRIPTION = """
Cameras, events and verdicts of Vigil. Every error is a problem (RFC 9457, `application/problem+json`).

Programs send a key (`vigil keys add`) as `Authorization: Bearer KEY`. Pages use the cookie of `/sign-in`, and send the
`csrf_token` of `GET /session` in `X-CSRF-Token` with every change. See docs/service.md.
"""


def build_api(context: SiteContext) -> FastAPI:
    """The service as an application that is mounted at `/api/v1`."""
    api = FastAPI(
        title="Vigil",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        # A list of routes has no slash at its end, and a redirect would leave the gate's list.
        redirect_slashes=False,
    )
    _add_error_handlers(api)
    shared = ApiContext(context)
    hub = make_hub(shared)
    # Routes are tried in turn: those that pages ask for all the time come first, and the review's before events'.
    for router in (
        health_router(shared, hub),
        cameras_router(shared),
        review_router(shared),
        exports_router(shared),
        events_router(shared),
        media_router(shared),
        missed_router(shared),
        observations_router(shared),
        strips_router(shared),
        speech_router(shared),
        camera_views_router(shared),
        rules_router(shared),
        judge_router(shared),
        ask_router(shared),
        reports_router(shared),
        live_router(shared, hub),
    ):
        api.include_router(router)
    _describe(api)
    return api


def mount_api(app: FastAPI, context: SiteContext) -> None:
    """Mounts the service under the pages."""
    app.mount(PATH, KeptAnswers(build_api(context), partial(_state_version, ApiContext(context))))


def _state_version(context: ApiContext) -> tuple[object, ...] | None:
    """The version of all that kept answers follow from: the store and the rules of the watch; waits for nothing."""
    version = context.store_version()
    return None if version is None else (version, watch_rules(context), own_question(context))


def build_service(context: SiteContext) -> FastAPI:
    """The service and its watch as an application of their own, behind the same doors as the pages."""
    options = context.options
    app = FastAPI(lifespan=background_jobs(context), docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    async def start() -> Response:
        return RedirectResponse(options.root.url(f"{PATH}/openapi.json"), status_code=307)

    mount_api(app, context)
    add_gate(app, options, takes_uploads=False)
    return app


def _add_error_handlers(api: FastAPI) -> None:
    @api.exception_handler(VigilError)
    async def vigil_error(_: Request, error: VigilError) -> Response:
        return problem_of(error)

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        wrong = [
            {"field": ".".join(str(part) for part in each["loc"]), "detail": str(each["msg"])}
            for each in error.errors()[:MOST_ERRORS]
        ]
        told = "; ".join(f"{each['field']}: {each['detail']}" for each in wrong[:3])
        return problem(422, f"the request cannot be used: {told}", kind="invalid", errors=wrong)

    @api.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        # FastAPI's own refusal of a body that is no JSON in UTF-8, the only 400 that no route of ours describes.
        if error.status_code == 400:
            return problem(422, "the body of the request cannot be read; send JSON in UTF-8", kind="invalid")
        return problem(error.status_code, str(error.detail), headers=error.headers)

    @api.exception_handler(Exception)
    async def fault(_: Request, error: Exception) -> Response:
        log.error("the service failed at a request; this is a fault in Vigil", exc_info=error)
        return problem(500, "this is a fault in Vigil; its log says more, please report it", kind="fault")


def _describe(api: FastAPI) -> None:
    """The OpenAPI description with the form of problems and the ways to sign in, made once."""

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            told = get_openapi(title=api.title, version=__version__, description=DESCRIPTION, routes=api.routes)
            parts = told.setdefault("components", {})
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            parts.setdefault("schemas", {}).update(schema.pop("$defs", {}))
            parts["schemas"]["Problem"] = schema
            parts["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer", "description": "A key of `vigil keys add`."},
                "password": {"type": "http", "scheme": "basic", "description": "A user of `vigil users add`."},
            }
            told["security"] = [{"key": []}, {"password": []}, {}]
            told["servers"] = [{"url": PATH}]
            api.openapi_schema = told
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]
