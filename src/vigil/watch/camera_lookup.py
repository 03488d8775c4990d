"""Looks up what the store has of a source before its first picture is taken: its masks, place, rules and views."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from vigil.errors import StoreError
from vigil.watch.camera_ids import CameraIds
from vigil.watch.source_set import ManagedSource
from vigil.watch.state import SourceState, SourceStatus

log = logging.getLogger(__name__)

AGAIN_S = 2.0


async def look_up_camera(managed: ManagedSource, cameras: CameraIds, on_state: Callable[[SourceState], None]) -> None:
    """Sets id, place, masks, rules and usual views of a source; waits while the store cannot be read.

    A camera whose masks are not known is not read: what they hide would be judged, stored and sent. A source that is
    removed meanwhile is not waited for.
    """
    state = managed.state
    state.camera_id = await asyncio.to_thread(cameras.of, managed.address)
    while not managed.is_removed.is_set():
        try:
            found = await asyncio.to_thread(cameras.settings_of, managed.address)
            state.place = found.place
            managed.masks.begin(found.masks)
            managed.rules.begin(found.rules)
            if managed.address.is_live:
                managed.views.begin(await asyncio.to_thread(cameras.views_of, state.camera_id))
            return
        except StoreError as error:
            state.stage = SourceStatus.LOST
            state.detail = f"not read until its masks are known: {error}; next try in {AGAIN_S:g} s"
            log.warning("%s: %s", managed.address.name, state.detail)
            on_state(state)
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_S):
                await managed.is_removed.wait()
