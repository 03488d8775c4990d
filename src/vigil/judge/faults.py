"""Maps every endpoint failure to a cause: the one place where errors of openai and aiohttp are translated."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import openai
from aiohttp.http_exceptions import HttpProcessingError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from vigil.errors import EndpointBusy, EndpointError, EndpointUnreachable, VigilError
from vigil.judge.certificates import tls_fault
from vigil.judge.endpoint_http import UnusableAnswerError
from vigil.judge.error_pages import is_page, refusal
from vigil.judge.model_client import HttpStatusError, is_transient
from vigil.verdict import Answer, Cause, Verdict

REPLY_FAULTS = (
    *(openai.OpenAIError, HttpStatusError, aiohttp.ClientError, HttpProcessingError),
    *(TimeoutError, OSError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError),
)
"""Everything a reply can raise; the last five if it is not a chat completion."""

NO_CONNECTION = (openai.APIConnectionError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError)

SLOWNESS = frozenset({Cause.TIMEOUT, Cause.CUT_OFF})
"""Causes that do not count against the endpoint for a description: it is long, and proxies buffer streams."""

NOT_FOUND = 404

BUSY_S = 8.0
"""How long requests to a temporarily unavailable server are retried at the start."""

Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class RequestFault:
    """Why a request got no verdict; `status` is the HTTP status of an error response."""

    cause: Cause
    detail: str
    status: int | None = None

    @classmethod
    def of(cls, error: BaseException) -> "RequestFault":
        """The fault for an exception."""
        return cls(cause_of(error), detail_of(error), status_of(error))

    def answer(self) -> Answer:
        """The unknown answer for this fault."""
        return Answer.unknown(self.cause, detail=self.detail)

    def verdict(self) -> Verdict:
        """The unknown verdict for this fault."""
        return Verdict.unknown(self.cause, detail=self.detail)


def cause_of(error: BaseException) -> Cause:
    """The cause of the verdict of a request that ended with this error."""
    if isinstance(error, EndpointError) and isinstance(error.__cause__, REPLY_FAULTS):
        return cause_of(error.__cause__)
    if isinstance(error, VigilError):
        return Cause.EXCHANGED
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return Cause.UNREACHABLE if _broken_connection(error) else Cause.TIMEOUT
    if isinstance(error, openai.APIResponseValidationError) or unusable_answer(error):
        return Cause.UNPARSEABLE
    if (status := status_of(error)) is not None:
        return _cause_of_status(status)
    if isinstance(error, aiohttp.ClientPayloadError):
        return Cause.CUT_OFF
    if isinstance(error, openai.APIConnectionError | aiohttp.ClientError):
        return Cause.UNREACHABLE
    if isinstance(error, openai.APIError):
        return Cause.SERVER_ERROR
    return Cause.CUT_OFF if isinstance(error, OSError) else Cause.UNPARSEABLE


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an error response; None for any other fault."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    return error.status if isinstance(error, HttpStatusError) else None


def _broken_connection(error: BaseException | None) -> aiohttp.ClientConnectionError | None:
    """The connection error behind this one; the transport reports it as a connect timeout."""
    while error is not None:
        if isinstance(error, aiohttp.ClientConnectionError):
            return None if isinstance(error, TimeoutError) else error
        error = error.__cause__
    return None


def unusable_answer(error: BaseException | None) -> UnusableAnswerError | None:
    """The UnusableAnswerError behind this error, if any: the server answered, but with nothing usable."""
    while error is not None and not isinstance(error, UnusableAnswerError):
        error = error.__cause__
    return error


def _cause_of_status(status: int) -> Cause:
    if status in {401, 403}:
        return Cause.UNAUTHORIZED
    if status == 429:
        return Cause.RATE_LIMITED
    if status in {408, 504}:
        return Cause.TIMEOUT
    return Cause.SERVER_ERROR if status >= 500 else Cause.REJECTED


def detail_of(error: BaseException) -> str:
    """The endpoint's message on one line of at most 300 characters; never the HTML of a proxy's page."""
    text = " ".join(_message_of(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."


def _message_of(error: BaseException) -> str:
    if message := tls_fault(error):
        return message
    if isinstance(error, openai.APIStatusError):
        return _status_message(error)
    cause = unusable_answer(error) or _broken_connection(error) or error
    if isinstance(cause, aiohttp.ClientConnectorError):
        return _connection_message(cause.os_error) or str(cause)
    return str(cause) or type(cause).__name__


def _connection_message(error: OSError) -> str:
    """The system's words, such as "Connection refused"; asyncio's repeat the address. Negative codes are of DNS."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or ""


def _status_message(error: openai.APIStatusError) -> str:
    body = error.body if isinstance(error.body, str) else ""
    if error.status_code != 413 and not is_page(body):
        return str(error)
    return f"Error code: {error.status_code} - {refusal(error.status_code, body.encode())}"


async def retry_while_busy(ask: Callable[[], Awaitable[Reply]]) -> Reply:
    """Retries a request at the start while the server is temporarily unavailable; raises the last EndpointBusy."""
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(EndpointBusy),
        stop=stop_after_delay(BUSY_S),
        wait=wait_exponential(multiplier=0.25, max=2.0),
        reraise=True,
    )
    return await retrying(ask)


def is_answer(error: BaseException) -> bool:
    """Whether an error response means that the server lacks a feature (400, 404, 422 ...), not that it is down."""
    status = status_of(error)
    return status is not None and not is_transient(status) and status not in {401, 403, 413}


def endpoint_error(error: BaseException, url: str, *, has_answered: bool = False) -> EndpointError:
    """The error for the endpoint at `url` as a whole; raise it `from` the fault.

    `has_answered` tells that the server has just answered: then a failed connection is one that broke.
    """
    detail, status = detail_of(error), status_of(error)
    if tls_fault(error) or unusable_answer(error):
        return EndpointError(f"{url}: {detail}")
    if status in {401, 403}:
        return EndpointError(
            f"{url} refused the key; put the server's key into $VIGIL_API_KEY or name it with --key-file"
        )
    if status is not None and is_transient(status):
        return EndpointBusy(f"{url} cannot answer now ({detail}); try again when it has started or recovered")
    if isinstance(error, NO_CONNECTION) and has_answered:
        return EndpointBusy(f"{url} broke the connection ({detail}); the server's log may say why")
    if isinstance(error, NO_CONNECTION):
        return EndpointUnreachable(
            f"nothing answers at {url} ({detail}); "
            "start a server with `./vllm.sh MODEL_DIR`, or name another with --url"
        )
    return EndpointError(f"{url}: {detail}")
