"""Which source is which, whatever it is called: an identity tells two of one name apart, and holds no secret.

Two clips are both `clip.mp4`, and cameras that differ by a token are shown alike. In a store, what is of one must never
be taken for the other's.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from vigil.sources.address import Address, strip_invisible

DIGITS = 24

# A token may be short: who gets at a store shall not find it by trying all there are.
COST = {"n": 2**14, "r": 8, "p": 1}
SALT = b"vigil source"

USERINFO = re.compile(r"://[^/?#]*@")

Known = Mapping[str, Collection[str]]
"""The identities that are known under each name."""

Renamed = Mapping[tuple[str, str], str]
"""The name that people gave a source, by its identity and the name it had before."""


def identity_of(address: Address) -> str:
    """24 hex digits: the same for the same file, webcam or stream, whoever signs in to it.

    Takes some 50 ms for a stream, the first time.
    """
    if address.kind == "file":
        return _plain(f"file {Path(address.location).resolve()}")
    if address.kind == "webcam":
        return _plain(f"webcam {address.location}")
    return _slow(USERINFO.sub("://", address.location))


def named_apart(addresses: Sequence[Address], known: Known, renamed: Renamed | None = None) -> list[Address]:
    """The same sources, each under a name that no other source of a store has had.

    One that had to get another name before gets that again, and one that was `renamed` goes by its new name; files show
    more of their paths, what is left gets numbers.
    """
    taken = {address.name for address in addresses}
    apart: list[Address] = []
    for address in addresses:
        name = _apart(address, known, taken - {address.name})
        if renamed and (given := renamed.get((identity_of(address), name))) and given not in taken:
            name = given
        taken.add(name)
        apart.append(address if name == address.name else replace(address, name=name))
    return apart


def names_of_others(address: Address, known: Known) -> set[str]:
    """The names that were given to other sources than this one."""
    identity = identity_of(address) if known else ""
    return {name for name, identities in known.items() if {*identities} - {identity}}


def _apart(address: Address, known: Known, taken: set[str]) -> str:
    if not known.get(address.name):
        return address.name
    others = taken | names_of_others(address, known)
    return next(name for name in _candidates(address, known) if name not in others)


def _candidates(address: Address, known: Known) -> Iterator[str]:
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
