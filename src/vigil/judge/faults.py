"""Every fault of the endpoint by its name: the one place where errors of openai and its HTTP client end."""

from dataclasses import dataclass

import aiohttp
import openai

from vigil.verdict import Cause, Verdict

REPLY_FAULTS = (openai.OpenAIError, TimeoutError, OSError, ValueError, KeyError, AttributeError, TypeError)
"""All that a reply can raise: the last four come out of the client package when it is no chat completion."""


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
        return Cause.UNREACHABLE if _hung_up(error) else Cause.TIMEOUT
    if isinstance(error, openai.APIResponseValidationError):
        return Cause.UNPARSEABLE
    if isinstance(error, openai.APIStatusError):
        return _cause_of_status(error.status_code)
    if isinstance(error, openai.APIConnectionError):
        return Cause.UNREACHABLE
    if isinstance(error, openai.APIError):
        return Cause.SERVER_ERROR
    return Cause.CUT_OFF if isinstance(error, OSError) else Cause.UNPARSEABLE


def _hung_up(error: BaseException) -> bool:
    """Whether a connection that broke is behind it: the transport reports that as a timeout of connecting."""
    while error.__cause__ is not None:
        error = error.__cause__
    return isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, TimeoutError)


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
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
