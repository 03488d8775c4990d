"""Problem details (RFC 9457): the one form of every error of the service.

    {"type": "urn:vigil:problem:not-found", "title": "Not Found", "status": 404, "detail": "there is no event 'x'; ..."}

Errors that the library raises on purpose (`vigil.errors`) become problems by their class. `detail` is their message: it
says what happened, to what, and what to do next, and never contains a secret.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from starlette.responses import JSONResponse

from vigil.errors import (
    ConfigError,
    EndpointError,
    EndpointUnreachable,
    EnvironmentMissing,
    ManifestError,
    RowRefused,
    SourceError,
    StoreError,
    UsageError,
    VigilError,
    redact,
)

MEDIA_TYPE = "application/problem+json"
TYPES = "urn:vigil:problem:"


class ApiError(VigilError):
    """A request that is refused; the class says with which status."""

    status: ClassVar[int] = 400
    kind: ClassVar[str] = "bad-request"


class NotFoundError(ApiError):
    """There is no such thing, or no longer."""

    status = 404
    kind = "not-found"


class ForbiddenError(ApiError):
    """The caller is known, but may not do this."""

    status = 403
    kind = "forbidden"


class ConflictError(ApiError):
    """The thing is in a state in which this cannot be done."""

    status = 409
    kind = "conflict"


class TooLargeError(ApiError):
    """More was sent than this address takes."""

    status = 413
    kind = "too-large"


class UnsupportedError(ApiError):
    """What was sent is of no kind that this address takes."""

    status = 415
    kind = "unsupported"


class BusyError(ApiError):
    """Too many others ask for the same at this moment."""

    status = 429
    kind = "busy"


class UnavailableError(ApiError):
    """The service runs, but a part of it that this request needs does not."""

    status = 503
    kind = "unavailable"


KINDS: tuple[tuple[type[VigilError], int, str], ...] = (
    (SourceError, 422, "source"),
    (RowRefused, 422, "refused"),
    (StoreError, 503, "store"),
    (EndpointUnreachable, 503, "endpoint"),
    (EndpointError, 502, "endpoint"),
    (EnvironmentMissing, 503, "missing"),
    (ManifestError, 503, "contract"),
    (ConfigError, 400, "configuration"),
    (UsageError, 400, "bad-request"),
    (VigilError, 500, "internal"),
)
"""Status and kind of each class of errors; the first class that fits counts."""


def problem(
    status: int, detail: str, *, kind: str = "", headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """The response for a problem."""
    title = HTTPStatus(status).phrase
    slug = kind or title.lower().replace(" ", "-").replace("'", "")
    body = {"type": TYPES + slug, "title": title, "status": status, "detail": detail.strip(), **more}
    told = {"Cache-Control": "no-store", **(headers or {})}
    return JSONResponse(body, status_code=status, headers=told, media_type=MEDIA_TYPE)


def problem_of(error: VigilError) -> JSONResponse:
    """The response for an error of the library."""
    if isinstance(error, ApiError):
        retry = {"Retry-After": "5"} if error.status in (429, 503) else {}
        return problem(error.status, redact(str(error)), kind=error.kind, headers=retry)
    status, kind = next((status, kind) for cls, status, kind in KINDS if isinstance(error, cls))
    retry = {"Retry-After": "5"} if status == 503 else {}
    return problem(status, redact(str(error)), kind=kind, headers=retry)


def retry_after(wait_s: float) -> dict[str, str]:
    """The header that says when to try again, in whole seconds."""
    return {"Retry-After": str(max(1, math.ceil(wait_s)))}
