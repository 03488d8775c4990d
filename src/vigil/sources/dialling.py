"""Which IP address is dialled for a camera that somebody else named: the one that was checked, and no other.

A host and port are allowed by name (`app.allowed_cameras`), but whoever runs that name decides where it leads, anew at
every look-up. So a name is resolved once for a connection, every answer is checked, and one of them is dialled.
"""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from vigil.errors import SourceError
from vigil.hosts import embedded_ipv4

LOCAL = "localhost"


class Resolver(Protocol):
    """Looks a name up."""

    def __call__(self, host: str, port: int) -> Sequence[str]:
        """The IP addresses of a name; raises OSError if there are none."""


def system_resolver(host: str, port: int) -> list[str]:
    """The addresses that this machine's resolver tells, without duplicates."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def checked_address(host: str, port: int, *, resolve: Resolver = system_resolver) -> str:
    """The IP address to dial for a host; raises SourceError if a name leads to where no camera is.

    A name may lead into a private network, as cameras' names do, but not to this machine (unless it is `localhost`),
    nor to link-local, multicast, unspecified or reserved addresses. One such answer among others is enough to refuse.
    """
    try:
        ip_address(host)
    except ValueError:
        return _resolved(host, port, resolve)
    return host


def _resolved(host: str, port: int, resolve: Resolver) -> str:
    try:
        answers = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise SourceError(f"the name {host} is not known: {getattr(error, 'strerror', None) or error}") from error
    is_local = host == LOCAL or host.endswith(f".{LOCAL}")
    refused = next((each for each in answers if not _may_be_dialled(each, is_local=is_local)), None)
    if refused is not None:
        raise SourceError(
            f"the name {host} leads to {refused}, where no camera of another machine is; if it is meant, allow that "
            "address itself"
        )
    if not answers:
        raise SourceError(f"the name {host} is not known: it has no address")
    return answers[0]


def _may_be_dialled(text: str, *, is_local: bool) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    inner = embedded_ipv4(address) if isinstance(address, IPv6Address) else None
    return all(_is_a_place(each, is_local=is_local) for each in (address, inner) if each is not None)


def _is_a_place(address: IPv4Address | IPv6Address, *, is_local: bool) -> bool:
    if address.is_loopback:
        return is_local
    if isinstance(address, IPv6Address) and (embedded_ipv4(address) is not None):
        return True
    return not (address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved)
