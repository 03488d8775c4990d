"""Names of files: as a text that can be read and written, and as a file name that can be made, for any text.

A name on Linux is bytes. Python gives those that are no UTF-8 as text with lone surrogates, which no JSON, database,
page or terminal takes; and a name is limited to 255 bytes, which are 85 Chinese characters.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

NAME_BYTES = 255
"""The longest name of most file systems."""

ROOMY_BYTES = 120
"""Leaves room for what is put before and behind a name, also where a file system encrypts names."""

DIGEST_DIGITS = 8
CANNOT_BE_READ = re.compile("[\ud800-\udfff\x00-\x1f\x7f-\x9f]")


def readable(name: str) -> str:
    """A name or path as text for people, JSON and databases: the same for one that is text already.

    Bytes that are no UTF-8 are read as GB18030, which Chinese archives hold names in, else written as `\\xb4`.
    """
    return "/".join(map(_readable, name.split("/"))) if CANNOT_BE_READ.search(name) else name


def _readable(part: str) -> str:
    if not CANNOT_BE_READ.search(part):
        return part
    try:
        raw = os.fsencode(part)
        text = _escaped(part) if _is_damaged_utf8(raw) else raw.decode("gb18030")
    except UnicodeError:
        return _escaped(part)
    is_plain = all(c.isprintable() or c.isspace() for c in text) and not CANNOT_BE_READ.search(text)
    return text if is_plain else _escaped(part)


def _is_damaged_utf8(raw: bytes) -> bool:
    """Whether most of it is UTF-8, as in a name that was cut in the middle of a character."""
    whole = sum(3 for c in raw.decode("utf-8", "ignore") if ord(c) > 0x7FF)
    return 2 * whole > sum(byte > 0x7F for byte in raw)


def _escaped(part: str) -> str:
    """What is no text as `\\xb4`, so that different bytes stay different."""
    try:
        text = os.fsencode(part).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character that no file's name holds
        text = part.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(f"\\x{ord(c):02x}" if CANNOT_BE_READ.match(c) else c for c in text)


def readable_names(names: Iterable[str]) -> dict[str, str]:
    """The readable text of each name, in their order, no two of them alike: those that are text keep theirs."""
    given = list(names)
    taken = {name for name in given if readable(name) == name}
    told = {name: name for name in given}
    for name in (name for name in told if name not in taken):
        folder, slash, last = name.rpartition("/")
        spellings = (readable(name), f"{readable(folder)}{slash}{_escaped(last)}", f"{readable(name)} ({digest(name)})")
        told[name] = next((spelling for spelling in spellings if spelling not in taken), spellings[-1])
        taken.add(told[name])
    return told


def in_gb18030(name: str) -> str | None:
    """A path as it is named on disk where an archive's names were kept in GB18030; None where that is the same."""
    try:
        other = os.fsdecode(name.encode("gb18030"))
    except UnicodeError:
        return None
    return None if other == name else other


def digest(text: str) -> str:
    """Eight hex digits of any text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_DIGITS]


def shortened(name: str, *, longest_bytes: int = ROOMY_BYTES, of: str = "") -> str:
    """A name of at most so many bytes; where its end had to go, a digest of it (or of `of`) stands there."""
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) <= longest_bytes:
        return name
    kept = encoded[: longest_bytes - DIGEST_DIGITS - 1].decode("utf-8", "ignore")
    return f"{kept}-{digest(of or name)}"


def plain_name(text: str) -> str:
    """A text with nothing but letters, digits, `_`, `.` and `-`; different texts may give the same, or none."""
    return re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", readable(text))).lstrip(".")


def file_name(text: str, *, longest_bytes: int = ROOMY_BYTES) -> str:
    """A name for a file that is about `text`: it can be written, and another text has another one."""
    plain = plain_name(text).lstrip("-")
    if plain and plain == text and len(plain.encode()) <= longest_bytes:
        return plain
    return shortened(f"{plain.strip('_')}-{digest(text)}".lstrip("-"), longest_bytes=longest_bytes, of=text)


def beside(path: Path, ending: str) -> Path:
    """The path of a file beside another one, as `a.json.partial`; where that is too long, the name is cut."""
    return path.with_name(shortened(path.name, longest_bytes=NAME_BYTES - len(ending.encode())) + ending)
