"""Which cameras visitors may open; without this check they could reach any host of the network through this machine.

Allowed are the cameras of the watch configuration (by host and port) and what the operator adds with
`--allow-camera HOST:PORT` or a webcam number; `--allow-any-camera` allows all. The host and port that are dialled are
what is compared (`vigil.hosts`), and a camera named by a visitor may not redirect elsewhere (`Address.confined`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vigil.errors import UsageError
from vigil.hosts import HostPort, parse_host, parse_host_port
from vigil.sources.address import PORTS, Address


@dataclass(frozen=True, slots=True)
class AllowedCameras:
    """Hosts with ports, and webcam numbers, that may be opened; `every` allows any."""

    places: frozenset[HostPort | str] = frozenset()
    every: bool = False

    @classmethod
    def of(cls, addresses: Sequence[Address], values: Sequence[str] = (), *, every: bool = False) -> "AllowedCameras":
        """The configured cameras and those of `--allow-camera`; raises UsageError for an invalid value."""
        places = [*map(parse_allowed, values), *(a.host_port or a.location for a in addresses if a.is_live)]
        return cls(frozenset(places), every)

    def admit(self, address: Address) -> Address:
        """Returns the camera as it may be opened; raises UsageError if it is not allowed."""
        if self.every and address.is_live:
            return address
        place = address.host_port or address.location
        if address.is_live and place in self.places:
            return replace(address, confined=address.kind == "stream")
        raise UsageError(
            f"the camera {address.name} is not one that these pages may open; the operator allows it with "
            f"--allow-camera {place}, or all of them with --allow-any-camera"
        )


def parse_allowed(value: str) -> HostPort | str:
    """Parses a value of `--allow-camera`: a host with port, or a webcam number; raises UsageError."""
    value = value.strip()
    if value.isascii() and value.isdecimal() and len(value) <= 4:
        return str(int(value))
    if _is_host(value):
        raise UsageError(
            f"--allow-camera {value} would open every port of that host; name the camera's: "
            f"{value}:{PORTS['rtsp']} (RTSP), {value}:{PORTS['http']} (HTTP)"
        )
    try:
        return parse_host_port(value)
    except ValueError as error:
        raise UsageError(f"--allow-camera {value!r} {error}; write HOST:PORT or the number of a webcam") from error


def _is_host(value: str) -> bool:
    try:
        parse_host(value)
    except ValueError:
        return False
    return True
