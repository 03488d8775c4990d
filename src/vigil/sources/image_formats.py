"""Recognises still images by their first bytes, so that unsupported ones are refused by name.

FFmpeg opens phone photos as videos: a HEIC photo would give one of its many tiles, an AVIF a video of one frame.
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
"""Brands of images with any codec; the compatible brands say which."""


def picture_kind(path: Path) -> str:
    """Returns `kind_of` a file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return kind_of(file.read(HEAD_BYTES))
    except OSError:
        return ""


def kind_of(head: bytes) -> str:
    """Returns the name of the still image format with these first `HEAD_BYTES`; empty for anything else."""
    if head[4:8] == b"ftyp":
        return _by_brands(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((name for start, name in STARTS.items() if head.startswith(start)), "")


def _by_brands(head: bytes) -> str:
    """Returns the still format that an ISO file's brands name; image sequences (`avis`, `hevc`, `msf1`) are videos."""
    major = head[8:12]
    if major in STILL_BRANDS:
        return STILL_BRANDS[major]
    if major not in ANY_STILL:
        return ""
    length = min(int.from_bytes(head[:4], "big"), HEAD_BYTES)
    others = (head[start : start + 4] for start in range(16, length, 4))
    return next((STILL_BRANDS[brand] for brand in others if brand in STILL_BRANDS), "HEIF")
