"""How many files and sockets this process may hold open, and the share of them that its visitors may take.

The cameras, the store and the endpoint are reached from the same process: what visitors hold must never be all of it.
"""

import resource
from dataclasses import dataclass

from app.web.proxies import TrustedProxies
from vigil.errors import UsageError

ENOUGH = 65_536
"""A higher limit helps nobody, and some programs that inherit it look at every descriptor up to it."""

MOST_CONNECTIONS = 512
SHARE = 4
"""Visitors' connections take a quarter of the descriptors at the most: each may open a file and a socket more."""

ADDRESS_SHARE = 4
NO_PROXIES = TrustedProxies()
FEWEST_PER_ADDRESS = 12
"""Two browsers with the six connections that each opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections are held, in all and from one address; those of `trusted` proxies count in all only."""

    in_all: int = MOST_CONNECTIONS
    per_address: int = MOST_CONNECTIONS // ADDRESS_SHARE
    trusted: TrustedProxies = NO_PROXIES


def raise_limit() -> int:
    """Raises the limit of open files as far as it goes and helps; returns what holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wished = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY:
        return ENOUGH
    if soft < wished:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wished, hard))
    return max(soft, wished)


def connection_limits(
    descriptors: int,
    *,
    in_all: int | None = None,
    per_address: int | None = None,
    trusted: TrustedProxies = NO_PROXIES,
) -> ConnectionLimits:
    """The limits that leave the watch its descriptors, unless fewer are asked for.

    Raises UsageError for limits that are no limits, or that would take more than the share.
    """
    share = max(1, descriptors // SHARE)
    most = min(MOST_CONNECTIONS, share) if in_all is None else in_all
    if not 1 <= most <= share:
        raise UsageError(
            f"--connections {most}: choose 1 to {share}, a quarter of the {descriptors} files and sockets that this "
            "process may hold open (ulimit -n); the cameras need the others"
        )
    each = min(most, max(FEWEST_PER_ADDRESS, most // ADDRESS_SHARE)) if per_address is None else per_address
    if not 1 <= each <= most:
        raise UsageError(f"--connections-per-address {each}: choose 1 to {most}, which is the limit in all")
    return ConnectionLimits(in_all=most, per_address=each, trusted=trusted)
