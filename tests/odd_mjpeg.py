"""MJPEG for tests, divided in all the ways that cameras have."""

import io
import time
from dataclasses import dataclass

from PIL import Image

from films import picture
from odd_camera import Answer, Asked
from vigil.frames import encode_jpeg

FPS = 10


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a camera divides its pictures."""

    kind: str = "multipart/x-mixed-replace; boundary=next"
    delimiter: bytes = b"--next\r\n"
    head: bytes = b"Content-Type: image/jpeg\r\nContent-Length: %(length)d\r\n\r\n"
    after: bytes = b"\r\n"
    odd_from: int = 0
    thumbnails: bool = False


USUAL = Style()
STYLES = {
    "image/jpg": Style(head=b"Content-Type: image/jpg\r\nContent-Length: %(length)d\r\n\r\n"),
    "image/jpg and no length": Style(head=b"Content-Type: image/jpg\r\n\r\n"),
    "a parameter": Style(head=b"Content-Type: image/jpeg;size=1\r\n\r\n"),
    "a character set": Style(head=b"Content-Type: image/jpeg; charset=utf-8\r\nContent-Length: %(length)d\r\n\r\n"),
    "no type": Style(head=b"Content-Length: %(length)d\r\n\r\n"),
    "nothing at all": Style(head=b"\r\n"),
    "octet-stream": Style(head=b"Content-Type: application/octet-stream\r\n\r\n"),
    "no dashes": Style(delimiter=b"next\r\n"),
    "no dashes and no type": Style(delimiter=b"next\r\n", head=b"Content-Length: %(length)d\r\n\r\n"),
    "dashes in the boundary": Style(kind="multipart/x-mixed-replace; boundary=--next"),
    "a quoted boundary": Style(kind='multipart/x-mixed-replace;boundary="next"'),
    "another boundary than promised": Style(delimiter=b"--other\r\n"),
    "a length that is wrong": Style(head=b"Content-Type: image/jpeg\r\nContent-Length: 70\r\n\r\n"),
    "line feeds alone": Style(delimiter=b"--next\n", head=b"Content-Type: image/jpg\n\n", after=b"\n"),
    "pictures end to end": Style(kind="video/x-motion-jpeg", delimiter=b"", head=b"", after=b""),
    "odd after three": Style(head=b"Content-Type: image/jpg\r\nContent-Length: %(length)d\r\n\r\n", odd_from=3),
    "a picture in the picture": Style(head=b"Content-Type: image/jpg\r\n\r\n", thumbnails=True),
}


def sending(style: Style) -> Answer:
    """MJPEG of numbered pictures, ten a second."""

    def answer(asked: Asked) -> None:
        asked.say(style.kind)
        started_s, number = time.monotonic(), 0
        while asked.sleep_until(started_s + number / FPS):
            jpeg = photo(number % 1024, thumbnail=style.thumbnails)
            now = style if number >= style.odd_from else USUAL
            asked.wfile.write(now.delimiter + now.head.replace(b"%(length)d", b"%d" % len(jpeg)) + jpeg + now.after)
            number += 1

    return answer


def photo(number: int, *, thumbnail: bool) -> bytes:
    """A JPEG, if asked with a small picture inside its head, as cameras' photos have."""
    jpeg = encode_jpeg(picture(number, (320, 240)), quality=80)
    if not thumbnail:
        return jpeg
    small = io.BytesIO()
    Image.new("RGB", (32, 24), "white").save(small, "JPEG")
    inside = b"Exif\x00\x00" + small.getvalue()
    return jpeg[:2] + b"\xff\xe1" + (len(inside) + 2).to_bytes(2, "big") + inside + jpeg[2:]
