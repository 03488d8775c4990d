"""What runs beside the pages and the service: the watch, the endpoint's monitor, and the sweep of uploads."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from .web.browser_copies import browser_copies
from .web.context import SiteContext

log = logging.getLogger(__name__)

SWEEP_S = 60.0


def background_jobs(context: SiteContext) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The lifespan of an application: begins the jobs with it, and ends them before it ends."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        jobs = [asyncio.create_task(context.status.follow()), asyncio.create_task(_sweep(context))]
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
