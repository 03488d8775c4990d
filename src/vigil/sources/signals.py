"""What a feed tells besides its frames, and the settings that live feeds share."""

import ssl
from dataclasses import dataclass
from typing import TypeAlias

from vigil.errors import UsageError
from vigil.frames import Frame


@dataclass(frozen=True, slots=True)
class Connected:
    """The source gives pictures: their `(width, height)`, the rate it claims, the codec, and since when."""

    size_wh: tuple[int, int]
    fps: float
    codec: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The source gives no more pictures; it is asked again in `retry_s` seconds. What comes then is a new run."""

    reason: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """The source sends data, but no picture can be shown yet, for a reason; what comes next is `Connected`."""

    reason: str


CaptureItem: TypeAlias = Frame | Connected | Disconnected | Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """How live sources are read.

    `open_timeout_s` and `read_timeout_s` bound how long a source may be silent before it counts as lost; HLS, whose
    pictures come in pieces of several seconds, gets `hls_timeout_s`. Data without a picture that can be decoded counts
    as lost after `picture_timeout_s`; but one that has sent no key picture yet is waited for during `key_timeout_s`,
    since cameras with smart codecs send one a minute or less. Retries start `first_retry_s` apart and double up to
    `longest_retry_s`; a connection that lasted `steady_s` starts them anew. `skip_unreferenced` leaves out pictures
    that no other depends on and the smoothing of block edges: less work, at the price of a kept picture that is a frame
    or two late where a stream has B-frames, and of half a grey level. `ca_file` (PEM) holds the certificates by which
    those of https and rtsps cameras are checked; without it they are not, and the cameras say so.
    """

    open_timeout_s: float = 5.0
    read_timeout_s: float = 5.0
    hls_timeout_s: float = 20.0
    picture_timeout_s: float = 20.0
    key_timeout_s: float = 300.0
    first_retry_s: float = 0.5
    longest_retry_s: float = 15.0
    steady_s: float = 10.0
    ca_file: str = ""
    skip_unreferenced: bool = False

    def __post_init__(self) -> None:
        timeouts = (
            "open_timeout_s",
            "read_timeout_s",
            "hls_timeout_s",
            "picture_timeout_s",
            "key_timeout_s",
            "first_retry_s",
            "longest_retry_s",
        )
        problems = [
            f"{name} must be above 0 and at most 3600" for name in timeouts if not 0 < getattr(self, name) <= 3600
        ]
        problems += ["steady_s must not be negative"] * (not self.steady_s >= 0)
        problems += ["longest_retry_s must not be below first_retry_s"] * (self.longest_retry_s < self.first_retry_s)
        problems += _problems_of_certificates(self.ca_file)
        if problems:
            raise UsageError("; ".join(problems))


def _problems_of_certificates(path: str) -> list[str]:
    try:
        ssl.create_default_context(cafile=path or None)
    except OSError as error:
        return [f"ca_file cannot be read as certificates (PEM): {path}: {error.strerror or error}"]
    return []
