"""Identifies sources independently of their names, without revealing secrets.

Two clips can both be called `clip.mp4`, and cameras whose addresses differ only in a token are displayed alike. In a
store, data of one must never be attributed to the other.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from vigil.sources.address import Address, strip_invisible

DIGITS = 24

# Tokens may be short: scrypt makes it expensive to guess one from an identity in a stolen store.
COST = {"n": 2**14, "r": 8, "p": 1}
SALT = b"vigil source"

USERINFO = re.compile(r"://[^/?#]*@")

KnownNames = Mapping[str, Collection[str]]
"""The known identities by source name."""

RenamedSources = Mapping[tuple[str, str], str]
"""The name that users gave a source, by its identity and previous name."""


def identity_of(address: Address) -> str:
    """Returns 24 hex digits, the same for the same file, webcam or stream, whatever user name its address contains.

    The first call for a stream takes about 50 ms.
    """
    if address.kind == "file":
        return _plain(f"file {Path(address.location).resolve()}")
    if address.kind == "webcam":
        return _plain(f"webcam {address.location}")
    return _slow(USERINFO.sub("://", address.location))


def named_apart(
    addresses: Sequence[Address], known: KnownNames, renamed: RenamedSources | None = None
) -> list[Address]:
    """Returns the sources, each with a name that no other source in the store has had.

    A source that was renamed before, automatically or by users (`renamed`), keeps that name. Otherwise files are
    distinguished by more of their path, and the rest by numbers.
    """
    taken = {address.name for address in addresses}
    apart: list[Address] = []
    for address in addresses:
        name = _distinct_name(address, known, taken - {address.name})
        if renamed and (given := renamed.get((identity_of(address), name))) and given not in taken:
            name = given
        taken.add(name)
        apart.append(address if name == address.name else replace(address, name=name))
    return apart


def names_of_others(address: Address, known: KnownNames) -> set[str]:
    """Returns the names that belong to other sources than this one."""
    identity = identity_of(address) if known else ""
    return {name for name, identities in known.items() if {*identities} - {identity}}


def _distinct_name(address: Address, known: KnownNames, taken: set[str]) -> str:
    if not known.get(address.name):
        return address.name
    others = taken | names_of_others(address, known)
    return next(name for name in _candidates(address, known) if name not in others)


def _candidates(address: Address, known: KnownNames) -> Iterator[str]:
    identity = identity_of(address)
    yield address.name
    yield from (name for name, identities in known.items() if {*identities} == {identity})
    if address.kind == "file":
        parts = Path(strip_invisible(str(Path(address.location).resolve()))).parts
        yield from (Path(*parts[-depth:]).as_posix() for depth in range(2, len(parts)))
    number = 2
    while True:
        yield f"{address.name} ({number})"
        number += 1


def _plain(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:DIGITS]


@lru_cache(maxsize=1024)
def _slow(text: str) -> str:
    return hashlib.scrypt(text.encode(errors="surrogateescape"), salt=SALT, dklen=DIGITS // 2, **COST).hex()
