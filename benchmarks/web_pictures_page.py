"""One page of `benchmarks/web_pictures.py`: live pictures shown in one of Gradio's ways.

python benchmarks/web_pictures_page.py server_function 4 7899
"""

import asyncio
import os
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import cv2
import gradio as gr
import numpy as np

FPS = 5
BITS = 16
POLL_S = 0.02
FOLDER = Path(tempfile.mkdtemp(prefix="web-pictures-"))
TEXTURE = cv2.normalize(
    cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (360, 640, 3), np.uint8), (0, 0), 3),
    np.zeros((360, 640, 3), np.uint8),
    0,
    255,
    cv2.NORM_MINMAX,
)
QUIET: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
FOLLOW = """
(async () => {
  const images = element.querySelectorAll("img");
  for (let number = -1; ; ) {
    const told = await server.look(number);
    if (!told) continue;
    number = told.number;
    told.urls.forEach((url, index) => (images[index].src = url));
  }
})();
"""


def number_now() -> int:
    """The picture that is due: the time in fifths of a second, as far as its bits go."""
    return int(time.time() * FPS) % (1 << BITS)


class Pictures:
    """640x360 JPEGs of about 25 KB with their number as black and white blocks in the top rows."""

    def __init__(self) -> None:
        self._made: tuple[int, bytes] = (-1, b"")

    def jpeg(self) -> bytes:
        """The picture that is due, encoded once."""
        number = number_now()
        if self._made[0] != number:
            image = TEXTURE.copy()
            cv2.circle(image, (number * 16 % 640, 200), 40, (255, 255, 255), -1)
            for bit in range(BITS):
                image[:16, bit * 40 : (bit + 1) * 40] = 255 * (number >> bit & 1)
            encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
            self._made = number, encoded.tobytes()
        return self._made[1]

    def url(self) -> str:
        """As a data URL."""
        return f"data:image/jpeg;base64,{b64encode(self.jpeg()).decode()}"

    def files(self, cameras: int) -> list[str]:
        """As files, one a camera, as `gr.Image` takes them without encoding them again."""
        paths = [FOLDER / f"{camera}-{number_now()}.jpg" for camera in range(cameras)]
        for path in paths:
            path.write_bytes(self.jpeg())
        return [str(path) for path in paths]


async def each(make: Callable[[], Any]) -> AsyncIterator[Any]:
    """What `make` makes, whenever a new picture is due."""
    last = -1
    while True:
        if number_now() != last:
            last = number_now()
            yield make()
        await asyncio.sleep(POLL_S)


def lay_out(way: str, cameras: int, page: gr.Blocks) -> None:
    """The components of one way."""
    pictures = Pictures()
    if way.startswith("image"):
        images = [gr.Image(format="jpeg", width=400) for _ in range(cameras)]
        connect(way, lambda: pictures.files(cameras) if cameras > 1 else pictures.files(1)[0], images, page)
    elif way == "server_function":

        async def look(last: int) -> dict[str, Any]:
            while number_now() == last:
                await asyncio.sleep(POLL_S)
            return {"number": number_now(), "urls": [pictures.url() for _ in range(cameras)]}

        gr.HTML('<img style="width:45%">' * cameras, server_functions=[look], js_on_load=FOLLOW)
    else:
        connect(way, lambda: f'<img style="width:45%" src="{pictures.url()}">' * cameras, [gr.HTML()], page)


def connect(way: str, make: Callable[[], Any], outputs: list[Any], page: gr.Blocks) -> None:
    """By a timer of the page, or by a generator that runs as long as the page is there."""
    if way.endswith("timer"):
        gr.Timer(1 / FPS).tick(make, None, outputs, **QUIET)
        return

    async def generate() -> AsyncIterator[Any]:
        async for made in each(make):
            yield made

    page.load(generate, None, outputs, **QUIET)


def main() -> None:
    way, cameras, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with gr.Blocks() as page:
        lay_out(way, cameras, page)
    page.launch(server_port=port, quiet=True)


if __name__ == "__main__":
    main()
