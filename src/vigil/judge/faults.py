"""Every fault of the endpoint by its name: the one place where errors of openai and aiohttp end."""

from dataclasses import dataclass

import aiohttp
import openai
from aiohttp.http_exceptions import HttpProcessingError

from vigil.judge.transport import RefusedError
from vigil.verdict import Cause, Verdict

REPLY_FAULTS = (
    *(openai.OpenAIError, RefusedError, aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError),
    *(ValueError, LookupError, AttributeError, TypeError, ArithmeticError),
)
"""All that a reply can raise: the last five where it is no chat completion."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a question got no verdict."""

    cause: Cause
    detail: str

    def verdict(self) -> Verdict:
        """The unknown verdict that this fault makes."""
        return Verdict.unknown(self.cause, detail=self.detail)


def cause_of(error: BaseException) -> Cause:
    """The cause that a verdict carries when a request ended in this error."""
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return Cause.UNREACHABLE if _broken_connection(error) else Cause.TIMEOUT
    if isinstance(error, openai.APIResponseValidationError):
        return Cause.UNPARSEABLE
    if isinstance(error, openai.APIStatusError):
        return _cause_of_status(error.status_code)
    if isinstance(error, RefusedError):
        return _cause_of_status(error.status)
    if isinstance(error, aiohttp.ClientPayloadError):
        return Cause.CUT_OFF
    if isinstance(error, openai.APIConnectionError | aiohttp.ClientError):
        return Cause.UNREACHABLE
    if isinstance(error, openai.APIError):
        return Cause.SERVER_ERROR
    return Cause.CUT_OFF if isinstance(error, OSError) else Cause.UNPARSEABLE


def _broken_connection(error: BaseException | None) -> aiohttp.ClientConnectionError | None:
    """The connection's own error behind this one; the transport reports it as a timeout of connecting."""
    while error is not None:
        if isinstance(error, aiohttp.ClientConnectionError):
            return None if isinstance(error, TimeoutError) else error
        error = error.__cause__
    return None


def _cause_of_status(status: int) -> Cause:
    if status in {401, 403}:
        return Cause.UNAUTHORIZED
    if status == 429:
        return Cause.RATE_LIMITED
    if status in {408, 504}:
        return Cause.TIMEOUT
    return Cause.SERVER_ERROR if status >= 500 else Cause.REJECTED


def detail_of(error: BaseException) -> str:
    """What the endpoint said, on one line of at most 300 characters."""
    spoken = _broken_connection(error) or error
    text = " ".join(str(spoken).split()) or type(spoken).__name__
    return text if len(text) <= 300 else text[:297] + "..."
