"""Host and port of an address, read in one way only: what is checked here is what is dialled.

Python and FFmpeg take `http://127.0.0.1:80[::1]/` apart differently, and `0x7f.1` is a name to one and 127.0.0.1 to
the other. So an address is taken apart once, strictly, and whoever dials gets one that is built anew from its parts.
"""

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

LONGEST_ADDRESS = 2000
LONGEST_HOST = 253
LAST_PORT = 65_535

ADDRESS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)")
AUTHORITY = re.compile(r"(?:(?P<userinfo>[^@]*)@)?(?P<host>\[[^\[\]@]*\]|[^\[\]@:]*)(?::(?P<port>[0-9]{0,5}))?")
NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A name whose last part is one is taken for an IPv4 address by whoever resolves it."""

KEPT = "%!$&'()*+,;=:~"
"""What stays as it is in a user, a password, a path or a query, beside letters and digits."""


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where to connect: a name or number of a host in its one spelling (IPv6 without brackets), and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAddress:
    """The parts of an address; `port` is None where it names none, `target` is path and query, both quoted."""

    scheme: str
    userinfo: str = field(default="", repr=False)
    host: str
    port: int | None = None
    target: str = field(default="", repr=False)

    @property
    def location(self) -> str:
        """The address, built anew from its parts; it may hold a password."""
        user = f"{self.userinfo}@" if self.userinfo else ""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{user}{bracketed(self.host)}{port}{self.target}"

    @property
    def path(self) -> str:
        """The path without the query, quoted."""
        return self.target.partition("?")[0]


def parse_address(text: str) -> NetworkAddress:
    """The parts of `scheme://user:password@host:port/path?query`; a fragment is left out.

    Raises ValueError, in words that follow the name of the address and show no password, for what two readers may
    read differently.
    """
    _check_characters(text)
    whole = ADDRESS.match(text)
    if whole is None:
        raise ValueError("has no scheme; write it as rtsp://HOST:PORT/PATH")
    if "@" in whole["target"] or "@" in text[whole.end() :]:
        raise ValueError(
            "has an @ after its host; write an @ in a password or path as %40 and a / in a password as %2F"
        )
    if whole["authority"].count("@") > 1:
        raise ValueError("has more than one @ before its path; write an @ in a user or password as %40")
    parts = AUTHORITY.fullmatch(whole["authority"])
    if parts is None:
        raise ValueError(
            "has a host or port that cannot be; write what is special in a password as %40 for @, %2F for /, "
            "and an IPv6 host in brackets"
        )
    target = whole["target"]
    return NetworkAddress(
        scheme=whole["scheme"].lower(),
        userinfo=quote(parts["userinfo"] or "", safe=KEPT),
        host=parse_host(parts["host"]),
        port=parse_port(parts["port"]) if parts["port"] else None,
        target=quote(f"/{target}" if target.startswith("?") else target, safe=KEPT + "/?@[]"),
    )


def parse_host_port(text: str) -> HostPort:
    """The parts of `HOST:PORT`, IPv6 in brackets; raises ValueError as `parse_address` does."""
    _check_characters(text)
    parts = AUTHORITY.fullmatch(text)
    if parts is None or parts["userinfo"] is not None:
        raise ValueError("is no HOST:PORT; an IPv6 host stands in brackets, as in [::1]:554")
    if not parts["port"]:
        raise ValueError("names no port")
    return HostPort(parse_host(parts["host"]), parse_port(parts["port"]))


def parse_host(text: str) -> str:
    """The one spelling of a host: small letters, numbers as numbers are written; raises ValueError."""
    if not text:
        raise ValueError("names no host; write it as rtsp://HOST:PORT/PATH")
    if text.startswith("["):
        return _ipv6(text[1:-1])
    host = text.lower()
    if NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]):
        return _ipv4(host)
    if len(host) > LONGEST_HOST or not NAME.fullmatch(host):
        raise ValueError(
            "has a host that cannot be: letters a to z, digits, dots and hyphens make one (xn--... for other letters)"
        )
    return host


def parse_port(text: str) -> int:
    """A port from 1 to 65535; raises ValueError."""
    if not 0 < int(text) <= LAST_PORT:
        raise ValueError(f"has a host or port that cannot be: nothing listens on port {int(text)}")
    return int(text)


def bracketed(host: str) -> str:
    """A host as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def _check_characters(text: str) -> None:
    if len(text) > LONGEST_ADDRESS:
        raise ValueError(f"is longer than {LONGEST_ADDRESS} characters")
    if not text.isprintable() or " " in text:
        raise ValueError("holds a space or a character that cannot be shown; write it as %20 or leave it out")
    if "\\" in text:
        raise ValueError("holds a backslash; write it as %5C, or / where one was meant")


def _ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError as error:
        raise ValueError("has a host of numbers that is no IPv4 address; write it as four numbers, 10.0.0.7") from error


def _ipv6(text: str) -> str:
    """An IPv4 address that is written as an IPv6 one is what it stands for: that is what would be dialled."""
    try:
        address = IPv6Address(text)
    except ValueError as error:
        raise ValueError("has something in brackets that is no IPv6 address") from error
    if address.scope_id is not None:
        raise ValueError("names a zone of this machine (%...); give the camera another address")
    return str(address.ipv4_mapped or address)
