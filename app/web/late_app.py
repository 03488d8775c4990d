"""An application below a mount that is built when it is first asked for: what nobody visits costs no start."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class LateApp:
    """Built in a thread at its first request; those that come meanwhile wait. A build that failed is tried again.

    What `build` returns answers below the same path as the mount, as `gradio.mount_gradio_app` makes it.
    """

    def __init__(self, build: Callable[[], FastAPI]) -> None:
        self._build = build
        self._ended = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[FastAPI] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = await asyncio.shield(self._begun())
        mount = scope["root_path"].removeprefix(scope["app_root_path"])
        await app({**scope, "root_path": scope["root_path"].removesuffix(mount)}, receive, send)

    def _begun(self) -> "asyncio.Future[FastAPI]":
        if self._ready is None or (self._ready.done() and self._ready.exception() is not None):
            self._ready = asyncio.get_running_loop().create_future()
            self._life = asyncio.create_task(self._live(self._ready))
        return self._ready

    async def _live(self, ready: "asyncio.Future[FastAPI]") -> None:
        """The lifespan of the application, begun and ended by one task."""
        try:
            app = await asyncio.to_thread(self._build)
            async with app.router.lifespan_context(app):
                ready.set_result(app)
                await self._ended.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def end(self) -> None:
        """Ends the application if it was ever built."""
        self._ended.set()
        if self._life is not None:
            await self._life


def with_late_apps(lifespan: Lifespan, apps: Iterable[LateApp]) -> Lifespan:
    """The lifespan of an application that has mounted these: they end before it does."""

    @contextlib.asynccontextmanager
    async def whole(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            try:
                yield
            finally:
                for each in apps:
                    await each.end()

    return whole
