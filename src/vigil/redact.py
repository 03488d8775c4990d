"""Leaving secrets out of what is shown: the passwords, tokens and keys that addresses carry."""

import re
from urllib.parse import unquote

# Each of these reads a text once, however long: it may come from a stranger.
ANY_ADDRESS = re.compile(r"(?<![a-zA-Z0-9+.-])[a-zA-Z0-9+.-]+://\S*")
USERINFO = re.compile(r"://\S*@")
SETTING = re.compile(r"(?<![\w.%-])([\w.%-]+)=[^&;/?#\s'\"]+")
TELLING = re.compile(r"(?i)pass|pwd|secret|token|auth|cred|signature|api_?key")
TELLING_IN_ADDRESS = re.compile(rf"(?i){TELLING.pattern[4:]}|key$|^user|^(usr|login|u|p|pw|sig|sid|session|ticket)$")


def redact(text: str) -> str:
    """A text in which no address shows a user, a password, a token or a key."""
    return _without(TELLING, ANY_ADDRESS.sub(_redact_address, text))


def _redact_address(match: re.Match[str]) -> str:
    return _without(TELLING_IN_ADDRESS, USERINFO.sub("://", match[0]))


def _without(telling: re.Pattern[str], text: str) -> str:
    """A text in which values of settings such as `password=` are left out."""
    return SETTING.sub(lambda m: f"{m[1]}=***" if telling.search(unquote(m[1])) else m[0], text)
