"""Parses the host and port of an address in one way only, so that what is checked is what is connected to.

Python and FFmpeg parse `http://127.0.0.1:80[::1]/` differently, and `0x7f.1` is a name to one and 127.0.0.1 to the
other. So an address is parsed once, strictly, and connections use an address that is rebuilt from the parsed parts.
"""

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote

LONGEST_ADDRESS = 2000
LONGEST_HOST = 253
LAST_PORT = 65_535

ADDRESS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)")
AUTHORITY = re.compile(r"(?:(?P<userinfo>[^@]*)@)?(?P<host>\[[^\[\]@]*\]|[^\[\]@:]*)(?::(?P<port>[0-9]{0,5}))?")
NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""Resolvers take a name whose last label matches this for an IPv4 address."""

KEPT = "%!$&'()*+,;=:~"
"""Characters that are not percent-encoded in a user, a password, a path or a query, besides letters and digits."""


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where to connect: a host name or IP address in canonical form (IPv6 without brackets), and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAddress:
    """The parts of an address; `port` is None if it names none, `target` is the percent-encoded path and query."""

    scheme: str
    userinfo: str = field(default="", repr=False)
    host: str
    port: int | None = None
    target: str = field(default="", repr=False)

    @property
    def location(self) -> str:
        """The address, rebuilt from its parts; it may contain a password."""
        user = f"{self.userinfo}@" if self.userinfo else ""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{user}{bracketed(self.host)}{port}{self.target}"

    @property
    def path(self) -> str:
        """The percent-encoded path without the query."""
        return self.target.partition("?")[0]


def parse_address(text: str) -> NetworkAddress:
    """Parses `scheme://user:password@host:port/path?query`; a fragment is dropped.

    Raises ValueError if two parsers could read it differently. The message continues a sentence that begins with the
    address, and shows no password.
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
            "has an invalid host or port; write special characters in a password as %40 for @, %2F for /, "
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
    """Parses `HOST:PORT`, with IPv6 in brackets; raises ValueError as `parse_address` does."""
    _check_characters(text)
    parts = AUTHORITY.fullmatch(text)
    if parts is None or parts["userinfo"] is not None:
        raise ValueError("is not HOST:PORT; write an IPv6 host in brackets, as in [::1]:554")
    if not parts["port"]:
        raise ValueError("names no port")
    return HostPort(parse_host(parts["host"]), parse_port(parts["port"]))


def parse_host(text: str) -> str:
    """Returns a host in canonical form: lower case, IP addresses as they are usually written; raises ValueError."""
    if not text:
        raise ValueError("names no host; write it as rtsp://HOST:PORT/PATH")
    if text.startswith("["):
        return _ipv6(text[1:-1])
    host = text.lower()
    if NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]):
        return _ipv4(host)
    if len(host) > LONGEST_HOST or not NAME.fullmatch(host):
        raise ValueError(
            "has an invalid host: it may hold letters a to z, digits, dots and hyphens (xn--... for other letters)"
        )
    return host


def parse_port(text: str) -> int:
    """Parses a port from 1 to 65535; raises ValueError."""
    if not 0 < int(text) <= LAST_PORT:
        raise ValueError(f"has an invalid port: nothing listens on port {int(text)}")
    return int(text)


def bracketed(host: str) -> str:
    """Returns a host as it is written before a port: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _check_characters(text: str) -> None:
    if len(text) > LONGEST_ADDRESS:
        raise ValueError(f"is longer than {LONGEST_ADDRESS} characters")
    if not text.isprintable() or " " in text:
        raise ValueError("holds a space or an unprintable character; write it as %20 or leave it out")
    if "\\" in text:
        raise ValueError("holds a backslash; write it as %5C, or / where one was meant")


def _ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError as error:
        raise ValueError("has a numeric host that is no IPv4 address; write it as four numbers, 10.0.0.7") from error


def _ipv6(text: str) -> str:
    """Returns an IPv4-mapped IPv6 address as IPv4, because that is what would be connected to."""
    try:
        address = IPv6Address(text)
    except ValueError as error:
        raise ValueError("has something in brackets that is not an IPv6 address") from error
    if address.scope_id is not None:
        raise ValueError("names a zone of this machine (%...); give the camera another address")
    return str(address.ipv4_mapped or address)


NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""IPv6 addresses whose last 32 bits are an IPv4 address that a gateway of the network connects to."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet: not loopback, private, link-local, multicast or reserved.

    IPv6 addresses that stand for an IPv4 address (mapped, NAT64, 6to4, Teredo) are judged by that one too.
    """
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            return False
        inner = embedded_ipv4(found)
        if inner is not None:
            return is_public(str(inner))
        if found.is_site_local:
            return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for (mapped, NAT64, 6to4, Teredo); None if for none."""
    if any(address in network for network in NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (None if teredo is None else teredo[1])
