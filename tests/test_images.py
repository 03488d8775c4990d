"""Image questions to an OpenAI-compatible endpoint: one picture, several pictures, your own files.

python tests/test_images.py --url http://127.0.0.1:8000/v1 --model NAME [PICTURE ...]
"""

import asyncio
import base64
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openai
import pytest

from exchange import Exchange, client_of, completed, endpoint_of, exchange, parser, problems, run
from vigil.errors import UsageError
from vigil.frames import decode_jpeg, encode_jpeg, fit_size, resize
from vigil.judge import Endpoint
from vigil.judge.contract import served_model

MAX_TOKENS = 48
MAX_PIXELS = 131_072
COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (30, 60, 200)}


async def ask_images(endpoint: Endpoint, files: Sequence[Path] = ()) -> list[Exchange]:
    """Asks about one drawn picture, about three at once, and about each file."""
    model = (await served_model(endpoint)).name
    drawn = [_plain(colour) for colour in COLOURS.values()]
    questions = [
        ("这张图片是什么颜色?", drawn[:1]),
        ("Name the colours of these three pictures in order.", drawn),
        *((f"请描述这张图片。({file.name})", [_from_file(file)]) for file in files),
    ]
    async with client_of(endpoint) as client:
        return [
            await exchange(
                f"{question} [{len(jpegs)} pictures]",
                lambda question=question, jpegs=jpegs: _ask(client, model, question, jpegs),  # type: ignore[misc]
            )
            for question, jpegs in questions
        ]


def _plain(colour: tuple[int, int, int]) -> bytes:
    return encode_jpeg(np.full((96, 128, 3), colour, np.uint8), quality=90)


def _from_file(file: Path) -> bytes:
    try:
        picture = decode_jpeg(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is no JPEG that can be read: {error}") from error
    height, width = picture.shape[:2]
    return encode_jpeg(resize(picture, fit_size(width, height, max_pixels=MAX_PIXELS)), quality=90)


async def _ask(client: openai.AsyncOpenAI, model: str, question: str, jpegs: Sequence[bytes]) -> tuple[str, str]:
    urls = [f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" for jpeg in jpegs]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    answer = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": [*parts, {"type": "text", "text": question}]}],  # type: ignore[list-item, misc]
        max_tokens=MAX_TOKENS,
        temperature=0.0,
    )
    return completed(answer)


@pytest.mark.e2e
def test_images(endpoint: Endpoint) -> None:
    assert problems(asyncio.run(ask_images(endpoint))) == []


def main() -> int:
    options = parser(__doc__)
    options.add_argument("pictures", type=Path, nargs="*", help="JPEG files to ask about")
    chosen = options.parse_args()
    return run(lambda: ask_images(endpoint_of(chosen), chosen.pictures))


if __name__ == "__main__":
    sys.exit(main())
