"""Whose limits an address falls under: its own, or those of the /64 that one customer of a network is given."""

import ipaddress

IPV6_PREFIX = 64


def address_group(address: str) -> str:
    """The address as limits count it: IPv4 by itself, IPv6 by its /64; what is no address stays as it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))


def is_one_of(address: str, known: frozenset[str]) -> bool:
    """Whether an address is among those named, however either is written."""
    return _plain(address) in {_plain(each) for each in known}


def _plain(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
