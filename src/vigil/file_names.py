"""File names: any name as readable text, and any text as a valid file name.

Names on Linux are bytes. Python decodes those that are not UTF-8 into text with lone surrogates, which JSON, databases,
web pages and terminals reject. Names are also limited to 255 bytes, which is 85 Chinese characters.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

NAME_BYTES = 255
"""The maximum length on most file systems."""

ROOMY_BYTES = 120
"""Leaves room for a prefix and a suffix, also on file systems that encrypt names."""

DIGEST_DIGITS = 8
CANNOT_BE_READ = re.compile("[\ud800-\udfff\x00-\x1f\x7f-\x9f]")


def readable(name: str) -> str:
    """Returns a name or path as text for people, JSON and databases; valid text is returned unchanged.

    Bytes that are not UTF-8 are decoded as GB18030, common in Chinese archives, or else escaped as `\\xb4`.
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
    """Returns whether most of it is UTF-8, as in a name that was cut in the middle of a character."""
    whole = sum(3 for c in raw.decode("utf-8", "ignore") if ord(c) > 0x7FF)
    return 2 * whole > sum(byte > 0x7F for byte in raw)


def _escaped(part: str) -> str:
    """Escapes undecodable bytes as `\\xb4`, so that different bytes stay different."""
    try:
        text = os.fsencode(part).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        text = part.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(f"\\x{ord(c):02x}" if CANNOT_BE_READ.match(c) else c for c in text)


def readable_names(names: Iterable[str]) -> dict[str, str]:
    """Maps each name to a readable text, in order and without duplicates; names that are valid text keep theirs."""
    given = list(names)
    taken = {name for name in given if readable(name) == name}
    texts = {name: name for name in given}
    for name in (name for name in texts if name not in taken):
        folder, slash, last = name.rpartition("/")
        spellings = (readable(name), f"{readable(folder)}{slash}{_escaped(last)}", f"{readable(name)} ({digest(name)})")
        texts[name] = next((spelling for spelling in spellings if spelling not in taken), spellings[-1])
        taken.add(texts[name])
    return texts


def in_gb18030(name: str) -> str | None:
    """Returns the path as it is on disk if the archive stored names in GB18030; None if that is the same path."""
    try:
        other = os.fsdecode(name.encode("gb18030"))
    except UnicodeError:
        return None
    return None if other == name else other


def digest(text: str) -> str:
    """Returns eight hex digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_DIGITS]


def shortened(name: str, *, longest_bytes: int = ROOMY_BYTES, of: str = "") -> str:
    """Returns the name cut to `longest_bytes`; a digest of it (or of `of`) replaces what was cut off."""
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) <= longest_bytes:
        return name
    kept = encoded[: longest_bytes - DIGEST_DIGITS - 1].decode("utf-8", "ignore")
    return f"{kept}-{digest(of or name)}"


def plain_name(text: str) -> str:
    """Replaces all but letters, digits, `_`, `.` and `-`; different texts may give the same name, or an empty one."""
    return re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", readable(text))).lstrip(".")


def file_name(text: str, *, longest_bytes: int = ROOMY_BYTES) -> str:
    """Returns a valid file name for `text`; different texts give different names."""
    plain = plain_name(text).lstrip("-")
    if plain and plain == text and len(plain.encode()) <= longest_bytes:
        return plain
    # Without the underscores a dot may come first, which would hide the file.
    begun = plain.strip("_").lstrip("._-")
    return shortened(f"{begun}-{digest(text)}".lstrip("-"), longest_bytes=longest_bytes, of=text)


def beside(path: Path, ending: str) -> Path:
    """Returns the path of a sibling file such as `a.json.partial`; the name is cut if it would be too long."""
    return path.with_name(shortened(path.name, longest_bytes=NAME_BYTES - len(ending.encode())) + ending)
