"""Which cameras a visitor's camera.txt may name: it would be a way into the network otherwise.

Allowed are the cameras of the watch's configuration (their host and port) and what the operator names with
`--allow-camera HOST`, `HOST:PORT` or a webcam number. `--allow-any-camera` allows every one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from vigil.errors import UsageError
from vigil.sources.address import Address

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class AllowedCameras:
    """Hosts, `host:port` and webcam numbers that may be opened; `every` opens them all."""

    words: frozenset[str] = frozenset()
    every: bool = False

    @classmethod
    def of(cls, addresses: Sequence[Address], words: Sequence[str] = (), *, every: bool = False) -> "AllowedCameras":
        """Those of the configuration's sources, and those named besides."""
        named = {_exactly(address) for address in addresses if address.is_live}
        return cls(frozenset(named | {word.strip().lower() for word in words}), every)

    def check(self, address: Address) -> None:
        """Raises UsageError for a camera that nobody allowed."""
        if self.every and address.is_live:
            return
        if not address.is_live or not {_exactly(address), _host(address)} & self.words:
            raise UsageError(
                f"the camera {address.name} is not one that these pages may open; the operator allows it with "
                "--allow-camera and its host or number, or all of them with --allow-any-camera"
            )


def _exactly(address: Address) -> str:
    """`host:port` of a stream, the number of a webcam."""
    if address.kind != "stream":
        return address.location
    parts = urlsplit(address.location)
    return f"{_host(address)}:{parts.port or PORTS.get(parts.scheme, 0)}"


def _host(address: Address) -> str:
    return (urlsplit(address.location).hostname or "").lower() if address.kind == "stream" else address.location
