"""What is below a mount is built at its first visit, once, and lives as long as what it is mounted in."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from app.web.late_app import LateApp, with_late_apps
from app.web.root_path import RootPath, WithRootPath
from fastapi import FastAPI, Request

from waiting import HANG_S

ROOT = Path(__file__).resolve().parents[3]


class Works:
    """Counts what is built, begun and ended; a build waits until it may go on."""

    def __init__(self, *, failures: int = 0) -> None:
        self.built = 0
        self.failures = failures
        self.told: list[str] = []
        self.may_build = threading.Event()
        self.may_build.set()

    def build(self) -> FastAPI:
        assert self.may_build.wait(HANG_S)
        self.built += 1
        if self.built <= self.failures:
            raise RuntimeError("it cannot be built")
        app, below = FastAPI(lifespan=self.lifespan), FastAPI()

        @below.get("/place")
        def place(request: Request) -> str:
            return f"{request.scope['root_path']} {request.url.path}"

        app.mount("/en", below)
        return app

    @contextlib.asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.told.append("page begins")
        yield
        self.told.append("page ends")

    @contextlib.asynccontextmanager
    async def outer(self, _: FastAPI) -> AsyncIterator[None]:
        self.told.append("site begins")
        yield
        self.told.append("site ends")


@contextlib.asynccontextmanager
async def visiting(works: Works) -> AsyncIterator[httpx.AsyncClient]:
    page = LateApp(works.build)
    app = FastAPI(lifespan=with_late_apps(works.outer, [page]))
    app.mount("/en", page)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        yield client


def test_many_who_come_first_wait_for_one_page_that_ends_before_its_site() -> None:
    works = Works()
    works.may_build.clear()

    async def visit() -> list[str]:
        async with visiting(works) as client:
            asked = [asyncio.create_task(client.get("/en/place")) for _ in range(4)]
            while not works.told or len(asyncio.all_tasks()) < 6:
                await asyncio.sleep(0)
            works.may_build.set()
            answers = [answer.json() for answer in await asyncio.gather(*asked)]
            return [*answers, (await client.get("/en/place")).json()]

    assert asyncio.run(visit()) == ["/en /en/place"] * 5
    assert works.built == 1 and works.told == ["site begins", "page begins", "page ends", "site ends"]


def test_what_nobody_visits_is_never_built() -> None:
    works = Works()

    async def visit() -> int:
        async with visiting(works) as client:
            return (await client.get("/elsewhere")).status_code

    assert asyncio.run(visit()) == 404
    assert works.built == 0 and works.told == ["site begins", "site ends"]


def test_a_page_that_could_not_be_built_is_tried_again_by_the_next_visitor() -> None:
    works = Works(failures=1)

    async def visit() -> list[int]:
        async with visiting(works) as client:
            return [(await client.get("/en/place")).status_code for _ in range(2)]

    assert asyncio.run(visit()) == [500, 200]
    assert works.built == 2


def test_a_visitor_who_goes_away_meanwhile_stops_nothing() -> None:
    works = Works()
    works.may_build.clear()

    async def visit() -> int:
        async with visiting(works) as client:
            gone = asyncio.create_task(client.get("/en/place"))
            while len(asyncio.all_tasks()) < 3:
                await asyncio.sleep(0)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            works.may_build.set()
            return (await client.get("/en/place")).status_code

    assert asyncio.run(visit()) == 200
    assert works.built == 1


def test_below_a_root_path_it_answers_as_if_it_were_mounted_there_itself() -> None:
    works = Works()

    async def visit() -> str:
        page = LateApp(works.build)
        app = FastAPI(lifespan=with_late_apps(works.outer, [page]))
        app.mount("/en", page)
        app.add_middleware(WithRootPath, root=RootPath.of("/vigil"))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client,
        ):
            return str((await client.get("/en/place")).json())

    assert asyncio.run(visit()) == "/vigil/en /vigil/en/place"


def test_the_site_is_built_without_gradio(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from app.web.site import build_app; from rooms import context_of\n"
        "build_app(context_of(Path(sys.argv[1]))); print('gradio' in sys.modules, 'pandas' in sys.modules)"
    )
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "src", ROOT / "tests")))
    asked = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    assert asked.stdout.split() == ["False", "False"], asked.stderr
