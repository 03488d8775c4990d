"""What runs beside the pages and the service: the watch, the monitor of the endpoint, the sweep, and new vectors."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from fastapi import FastAPI

from .web.browser_copies import browser_copies
from .web.context import SiteContext
from .web.event_store import open_store

log = logging.getLogger(__name__)

SWEEP_S = 60.0


def background_jobs(context: SiteContext) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The lifespan of an application: begins the jobs with it, and ends them before it ends."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        vectors = context.meaning.follow(partial(open_store, context))
        jobs = [asyncio.create_task(job) for job in (context.status.follow(), _sweep(context), vectors)]
        if context.service is not None:
            context.service.start()
        try:
            yield
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            await asyncio.to_thread(browser_copies(context).stop)
            if context.service is not None:
                await asyncio.to_thread(context.service.stop)

    return lifespan


async def _sweep(context: SiteContext) -> None:
    while True:
        try:
            await asyncio.to_thread(context.uploads.sweep)
        except Exception:
            log.exception("what visitors sent could not be swept; it is tried again")
        await asyncio.sleep(SWEEP_S)
