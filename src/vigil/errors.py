"""Every error that Vigil raises on purpose.

VigilError
|-- UsageError          the command or a setting is wrong           (exit code 2)
|-- ConfigError         a YAML file cannot be used; holds every problem found (exit code 2)
|-- SourceError         a video, camera or frame cannot be read
|-- DatasetError        a dataset cannot be built from, or trained on, as it is
|-- ManifestError       a model's contract is missing or contradicts the request
|-- EnvironmentMissing  an environment, a program or a file of weights is missing
|-- EndpointError       the server cannot be used at all (gone, wrong key, wrong model)
|   `-- EndpointUnreachable    nothing answers there
|       `-- EndpointBusy  it is there, and fails for now
|-- StoreError          events or their media cannot be kept or read
|   `-- RowRefused      the database does not take this row, now or later
`-- JobError            a training, an export or a server stopped before it was done

A message says what happened, to what, and what to do next. `main` prints it on one
line and exits with `exit_code`; a traceback is for our own mistakes only.

Leaving secrets out of what is shown: the passwords, tokens and keys that addresses carry.

A list of the keys that hide something (`password=`, `pwd=` ...) is never complete, and a token may stand in a path. So
an address is shown by what cannot hold a secret: its host, the parts of its path that are words cameras use, and four
settings with such values. `***` stands for the rest.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from urllib.parse import unquote


class VigilError(Exception):
    """Something went wrong that the person at the keyboard can act on."""

    exit_code = 1


class UsageError(VigilError):
    """The command line or a parameter asks for something that makes no sense."""

    exit_code = 2


class ConfigError(VigilError):
    """A configuration cannot be used; `problems` lists all that is wrong with it at once."""

    exit_code = 2

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.where = where
        self.problems = tuple(problems)
        super().__init__(f"{where}: " + "; ".join(self.problems))


class SourceError(VigilError):
    """A video, a camera or a picture cannot be read."""


class DatasetError(VigilError):
    """A dataset would train or score wrongly as it is."""


class ManifestError(VigilError):
    """A model's manifest is missing, unreadable or contradicts what is asked."""


class EnvironmentMissing(VigilError):
    """An environment, a program or a model folder that the job needs is not there."""


class EndpointError(VigilError):
    """The endpoint cannot be used at all: it is gone, refuses the key, or lacks the model."""


class EndpointUnreachable(EndpointError):
    """Nothing answers at the endpoint, which tells nothing of what it can do: it is asked again later."""


class EndpointBusy(EndpointUnreachable):
    """The endpoint is there and fails for now: an error of its own (5xx), or a connection that broke."""


class StoreError(VigilError):
    """Events or their media cannot be kept or read: the disk is full, the database locked, damaged or too new."""


class RowRefused(StoreError):
    """The database takes other rows, but not this one, however often it is tried."""


class JobError(VigilError):
    """A training, an export or a server stopped before it had done its work."""


__all__ = ["redact", "without_secrets"]

# Each of these reads a text once, however long: it may come from a stranger.
ANY_ADDRESS = re.compile(r"(?<![a-zA-Z0-9+.-])(?P<scheme>[a-zA-Z0-9+.-]+)://(?P<rest>\S*)")
HOST = re.compile(r"(?:\[[^\[\]]*\]|[\w.-]*)(?::[0-9]{0,5})?")
CLOSING = "'\"`)]}>,.;:!"
SETTING = re.compile(r"(?<![\w.%-])([\w.%-]+)=[^&;/?#\s'\"]+")
SETTING_OF_A_QUERY = re.compile(r"(?<=[?&;])([\w.%-]+)=[^&;#\s'\"]+")
TELLING = re.compile(
    r"(?i)pass|pwd|psw|pas$|secret|token|jwt|hash|auth|cred|signature|api_?key|^(sig|sid|session|ticket)$"
)
LOCAL = frozenset({"file", "sqlite"})
"""What these name is a file of this machine, which a message has to name."""

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
    """A text in which no address shows a user, a password, a token or a key."""
    return SETTING.sub(_without_secret, SETTING_OF_A_QUERY.sub(_harmless, ANY_ADDRESS.sub(_redact_address, text)))


def _without_secret(match: re.Match[str]) -> str:
    return f"{match[1]}={LEFT_OUT}" if TELLING.search(unquote(match[1])) else match[0]


def _harmless(match: re.Match[str]) -> str:
    """A setting behind a `?`, which belongs to an address even where that has no scheme."""
    return match[0] if _is_harmless(match[0]) else LEFT_OUT


def _redact_address(match: re.Match[str]) -> str:
    """An address inside a text, with the marks that close a sentence or a quotation behind it."""
    address = match[0].rstrip(CLOSING)
    return f"{without_secrets(address)}{match[0][len(address) :]}"


def without_secrets(address: str) -> str:
    """How an address of the network is shown: by what cannot hold a secret."""
    scheme, _, rest = address.partition("://")
    if scheme.lower() in LOCAL:
        return address
    userinfo, _, behind = rest.rpartition("@")
    host = HOST.match(behind)
    # A user or password with a / in it may as well be a host and a path: there is no telling what is which.
    if host is None or any(mark in userinfo for mark in "/?#"):
        return f"{scheme}://{LEFT_OUT}"
    return f"{scheme}://{host[0]}{_shown_target(behind[host.end() :])}"


def _shown_target(target: str) -> str:
    """What of path, query and fragment cannot hold a secret."""
    path, _, query = target.partition("#")[0].partition("?")
    parts = path.split("/")
    known = list(takewhile(_is_known, parts))
    hidden = parts[len(known) :]
    shown_path = "/".join([*known, LEFT_OUT] if hidden else known)
    # Some cameras have their settings in the path: `/user=a&password=b&channel=1`.
    settings = [*_harmless_settings("&".join(hidden)), *_harmless_settings(query)]
    left_out = [LEFT_OUT] if len(_settings(query)) > len(list(_harmless_settings(query))) else []
    told = "&".join([*settings, *left_out])
    return f"{shown_path}?{told}" if told else shown_path


def _settings(query: str) -> list[str]:
    return [setting for setting in re.split("[&;]", query) if setting]


def _harmless_settings(query: str) -> Iterator[str]:
    return (setting for setting in _settings(query) if _is_harmless(setting))


def _is_harmless(setting: str) -> bool:
    key, equals, value = setting.partition("=")
    return bool(equals) and key.lower() in HARMLESS and _is_known(value)


def _is_known(part: str) -> bool:
    """Whether part of a path is made of words that cameras use and of a small number."""
    if len(part) > LONGEST_PART:
        return False
    if SHORT.fullmatch(part):
        return True
    words = WORD.findall(FORMAT.sub("-", part))
    digits = "".join(word for word in words if word.isdecimal())
    others = (word for word in words if not word.isdecimal())
    return len(digits) <= MOST_DIGITS and all(word.lower() in WORDS or word in "._-" for word in others)
