"""Every error that Vigil raises on purpose, and `redact`, which keeps secrets out of messages.

VigilError
|-- UsageError          the command or a setting is wrong           (exit code 2)
|-- ConfigError         a YAML file cannot be used; lists every problem (exit code 2)
|-- SourceError         a video, camera or image cannot be read
|-- DatasetError        a dataset cannot be built, or trained on, as it is
|-- ManifestError       a model's contract is missing or contradicts the request
|-- EnvironmentMissing  an environment, a program or a file of weights is missing
|-- EndpointError       the server cannot be used at all (gone, wrong key, wrong model)
|   `-- EndpointUnreachable    nothing answers there
|       `-- EndpointBusy  the server is there, but fails for now
|-- StoreError          events or their media cannot be written or read
|   `-- RowRefused      the database rejects this row, now and later
|-- DeliveryError       an alert could not be sent to its sink
`-- JobError            a training, an export or a server stopped before it was done

A message says what happened, to what, and what to do next. `main` prints it on one line and exits with `exit_code`;
tracebacks are reserved for bugs in Vigil.

Addresses are redacted by allow-list, because no list of secret parameters (`password=`, `pwd=` ...) is complete and a
token may be part of a path. Only the host, path segments made of common camera words, and four harmless parameters are
shown; the rest becomes `***`.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from urllib.parse import unquote


class VigilError(Exception):
    """The base of all errors that a user can do something about."""

    exit_code = 1


class UsageError(VigilError):
    """The command line or a parameter is invalid."""

    exit_code = 2


class ConfigError(VigilError):
    """A configuration is invalid; `problems` lists everything that is wrong with it."""

    exit_code = 2

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.where = where
        self.problems = tuple(problems)
        super().__init__(f"{where}: " + "; ".join(self.problems))


class SourceError(VigilError):
    """A video, a camera or an image cannot be read."""


class DatasetError(VigilError):
    """A dataset cannot be used for training or scoring as it is."""


class ManifestError(VigilError):
    """A model's manifest is missing, unreadable or contradicts the request."""


class EnvironmentMissing(VigilError):
    """An environment, a program or a model folder that the job needs is missing."""


class EndpointError(VigilError):
    """The endpoint cannot be used at all: it is gone, rejects the key, or does not serve the model."""


class EndpointUnreachable(EndpointError):
    """Nothing answers at the endpoint. This says nothing about what it can do, so the request is retried later."""


class EndpointBusy(EndpointUnreachable):
    """The endpoint is there but fails for now: a server error (5xx) or a broken connection."""


class StoreError(VigilError):
    """Events or their media cannot be written or read: disk full, database locked, damaged or too new."""


class RowRefused(StoreError):
    """The database accepts other rows but rejects this one, however often it is retried."""


class DeliveryError(VigilError):
    """An alert could not be sent; it is tried again later.

    `is_unreachable`: nothing was said of this alert, as the sink could not be reached, so others would fail as well.
    `retry_after_s`: how long the sink asked to wait.
    """

    def __init__(self, message: str, *, is_unreachable: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.is_unreachable = is_unreachable
        self.retry_after_s = retry_after_s


class JobError(VigilError):
    """A training, an export or a server stopped before it was done."""


__all__ = ["redact", "without_secrets"]

# All of these run in linear time, because the text may come from an untrusted source.
ANY_ADDRESS = re.compile(r"(?<![a-zA-Z0-9+.-])(?P<scheme>[a-zA-Z0-9+.-]+)://(?P<rest>\S*)")
HOST = re.compile(r"(?:\[[^\[\]]*\]|[\w.-]*)(?::[0-9]{0,5})?")
CLOSING = "'\"`)]}>,.;:!"
SETTING = re.compile(r"(?<![\w.%-])([\w.%-]+)=[^&;/?#\s'\"]+")
SETTING_OF_A_QUERY = re.compile(r"(?<=[?&;])([\w.%-]+)=[^&;#\s'\"]+")
TELLING = re.compile(
    r"(?i)pass|pwd|psw|pas$|secret|token|jwt|hash|auth|cred|signature|api_?key|^(sig|sid|session|ticket)$"
)
LOCAL = frozenset({"file", "sqlite"})
"""Schemes of local files, whose paths are shown in full."""

LEFT_OUT = "***"
HARMLESS = frozenset({"channel", "subtype", "stream", "profile"})
LONGEST_PART = 40
MOST_DIGITS = 3
"""`/101` is a channel; `/1234` may be a PIN."""

SHORT = re.compile(r"[a-zA-Z]?[0-9]{0,3}")
FORMAT = re.compile(r"(?i)[hx]\.?26[45]|mp[1-4]|mpeg[1-4]|m3u8|m4v|(?:480|576|720|1080|2160)[pi]")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|.")
CAMERA_WORDS = """
asf amp av avc avstream axis bin cam camera cameras cgi ch chan channel channels chn clip clips dash default demo feed
film flv hd hevc high hls http image images index isapi jpeg jpg live livestream low main mainstream master media minor
mjpeg mjpg mobile mov mpeg multicast nph onvif photo play playlist preview profile psia realmonitor rtsp sd sdp snap
snapshot stream streaming streams sub substream subtype test track trackid ts uhd unicast video videos view webm
"""
PLACES = """
attic back backyard balcony barn basement corridor counter courtyard desk dock door doors drive driveway east elevator
entrance entry exit fence floor front garage garden gate gym hall hallway house indoor inside kitchen left lift lobby
lower north office outdoor outside park parking patio playground pool porch ramp rear right road roof room school shed
shop south stairs store street terrace till upper warehouse west yard
"""
WORDS = frozenset(f"{CAMERA_WORDS} {PLACES}".split())


def redact(text: str) -> str:
    """Returns the text with users, passwords, tokens and keys removed from every address and parameter in it."""
    return SETTING.sub(_without_secret, SETTING_OF_A_QUERY.sub(_harmless, ANY_ADDRESS.sub(_redact_address, text)))


def _without_secret(match: re.Match[str]) -> str:
    return f"{match[1]}={LEFT_OUT}" if TELLING.search(unquote(match[1])) else match[0]


def _harmless(match: re.Match[str]) -> str:
    """A parameter after a `?`; it is part of an address even if the scheme is missing."""
    return match[0] if _is_harmless(match[0]) else LEFT_OUT


def _redact_address(match: re.Match[str]) -> str:
    """Redacts an address inside a text, but keeps punctuation and quotation marks that follow it."""
    address = match[0].rstrip(CLOSING)
    return f"{without_secrets(address)}{match[0][len(address) :]}"


def without_secrets(address: str) -> str:
    """Returns a network address with everything removed that could hold a secret."""
    scheme, _, rest = address.partition("://")
    if scheme.lower() in LOCAL:
        return address
    userinfo, _, behind = rest.rpartition("@")
    host = HOST.match(behind)
    # A user or password that contains a / cannot be distinguished from a host and a path.
    if host is None or any(mark in userinfo for mark in "/?#"):
        return f"{scheme}://{LEFT_OUT}"
    return f"{scheme}://{host[0]}{_shown_target(behind[host.end() :])}"


def _shown_target(target: str) -> str:
    """Returns the parts of path, query and fragment that cannot hold a secret."""
    path, _, query = target.partition("#")[0].partition("?")
    parts = path.split("/")
    known = list(takewhile(_is_known, parts))
    hidden = parts[len(known) :]
    shown_path = "/".join([*known, LEFT_OUT] if hidden else known)
    # Some cameras put parameters into the path: `/user=a&password=b&channel=1`.
    settings = [*_harmless_settings("&".join(hidden)), *_harmless_settings(query)]
    left_out = [LEFT_OUT] if len(_settings(query)) > len(list(_harmless_settings(query))) else []
    parameters = "&".join([*settings, *left_out])
    return f"{shown_path}?{parameters}" if parameters else shown_path


def _settings(query: str) -> list[str]:
    return [setting for setting in re.split("[&;]", query) if setting]


def _harmless_settings(query: str) -> Iterator[str]:
    return (setting for setting in _settings(query) if _is_harmless(setting))


def _is_harmless(setting: str) -> bool:
    key, equals, value = setting.partition("=")
    return bool(equals) and key.lower() in HARMLESS and _is_known(value)


def _is_known(part: str) -> bool:
    """Returns whether a path segment consists of common camera words and a small number."""
    if len(part) > LONGEST_PART:
        return False
    if SHORT.fullmatch(part):
        return True
    words = WORD.findall(FORMAT.sub("-", part))
    digits = "".join(word for word in words if word.isdecimal())
    others = (word for word in words if not word.isdecimal())
    return len(digits) <= MOST_DIGITS and all(word.lower() in WORDS or word in "._-" for word in others)
