"""Telling pictures from videos by their first bytes, so that one that cannot be shown is refused by its name.

FFmpeg opens the pictures of phones as videos: of a HEIC photo it would give one tile of many, of an AVIF a film of
one picture.
"""

from pathlib import Path

HEAD_BYTES = 64
STARTS = {
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "Photoshop",
    b"\x00\x00\x01\x00": "icon",
}
STILL_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), "HEIC"),
    b"avif": "AVIF",
}
ANY_STILL = frozenset({b"mif1", b"mif2", b"miaf"})
"""Brands of pictures of any codec; the other brands tell which."""


def picture_kind(path: Path) -> str:
    """`kind_of` a file; empty for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return kind_of(file.read(HEAD_BYTES))
    except OSError:
        return ""


def kind_of(head: bytes) -> str:
    """The name of a picture's format that is no video's, by its first `HEAD_BYTES`; empty for anything else."""
    if head[4:8] == b"ftyp":
        return _by_brands(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((name for start, name in STARTS.items() if head.startswith(start)), "")


def _by_brands(head: bytes) -> str:
    """What the first box of an ISO file says; a sequence of pictures (`avis`, `hevc`, `msf1`) is a video."""
    major = head[8:12]
    if major in STILL_BRANDS:
        return STILL_BRANDS[major]
    if major not in ANY_STILL:
        return ""
    length = min(int.from_bytes(head[:4], "big"), HEAD_BYTES)
    others = (head[start : start + 4] for start in range(16, length, 4))
    return next((STILL_BRANDS[brand] for brand in others if brand in STILL_BRANDS), "HEIF")
