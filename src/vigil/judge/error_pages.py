"""Extracts a short message from an error response, even if a proxy in front of the server sent an HTML page."""

import html
import re
from typing import Any

import orjson

TOO_LARGE = 413

BODY_LIMIT_ADVICE = (
    "the request with its pictures is larger than the server, or a proxy in front of it, accepts; raise the proxy's "
    "body limit (nginx: client_max_body_size 64m)"
)

_PAGE = re.compile(
    r"^\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title|h1|center)\b", re.I | re.S
)
_TITLE = re.compile(r"<(title|h1|h2)\b[^>]*>(.*?)</\1\s*>", re.I | re.S)
_HIDDEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<[^>]*>", re.I | re.S)

MAX_CHARS = 120

READ_CHARS = 8192
"""How much of a page is searched for its text; a hostile one of megabytes would take minutes."""


def is_page(text: str) -> bool:
    """Whether a text is an HTML page."""
    return _PAGE.match(text[:2000]) is not None


def error_page_text(text: str) -> str:
    """The title of a page, or else its first words."""
    text = text[:READ_CHARS]
    title = _TITLE.search(text)
    text = " ".join(html.unescape(_HIDDEN.sub(" ", title[2] if title else text)).split())
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 3]}..."


def not_json(text: str) -> str:
    """Describes what arrived instead of JSON."""
    if is_page(text):
        message = error_page_text(text) or "empty"
        return f"it sent an HTML page ({message}) instead of JSON; is another service running there?"
    return "it sent no JSON" if text.strip() else "it sent nothing"


def refusal(status: int, content: bytes) -> str:
    """The message of an error in the formats of OpenAI and FastAPI, or the text of a proxy's page; may be empty."""
    if status == TOO_LARGE:
        return BODY_LIMIT_ADVICE
    text = content.decode(errors="replace")
    if is_page(text):
        return f"a page of a proxy or another service: {error_page_text(text) or 'empty'}"
    return _message(content) or text


def _message(content: bytes) -> str:
    try:
        body: Any = orjson.loads(content)
        message = body.get("error") or body.get("detail")
        return str(message["message"] if isinstance(message, dict) else message or body)
    except (ValueError, LookupError, AttributeError):
        return ""
