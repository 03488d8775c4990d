"""The server of the pages in a process of its own, which runs out of descriptors when it is told to.

It prints its port; then, for each line that comes, takes every descriptor that is left, or gives them back.
"""

import errno
import logging
import os
import resource
import sys

from app.http.connections import Deadlines
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from limited_server import get, limited

FEW = 60


async def hello(_: Request) -> PlainTextResponse:
    """The page."""
    return PlainTextResponse("hello")


def take_all() -> list[int]:
    """Every descriptor that this process may still have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first = os.open(os.devnull, os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first + FEW, hard))
    held = [first]
    while True:
        try:
            held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            return held


def main() -> None:
    """Serves until there are no more lines."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    held: list[int] = []
    with limited(Starlette(routes=[Route("/", hello)]), deadlines=Deadlines()) as site:
        with site.dial() as first:
            get(first)  # what it loads for its first answer is loaded
        print(site.port, flush=True)
        for _ in sys.stdin:
            if held:
                while held:
                    os.close(held.pop())
            else:
                held = take_all()
            print("held" if held else "free", flush=True)


if __name__ == "__main__":
    main()
