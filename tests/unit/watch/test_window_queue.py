import asyncio
import threading

import numpy as np
import pytest

from vigil.frames import Frame
from vigil.watch.window_queue import QueuedWindow, WindowQueue
from vigil.windows import EncodedFrame, Window


def window(index: int) -> Window:
    return Window(index, (EncodedFrame(Frame(np.zeros((64, 64, 3), np.uint8), float(index)), b""),) * 2)


async def taken(lane: WindowQueue) -> list[tuple[int, bool]]:
    found = []
    while await lane.wait():
        entry = lane.take()
        if entry is not None:
            found.append((entry.window.index, entry.is_dropped))
    return found


def test_a_live_lane_drops_its_oldest_and_hands_it_back_in_its_place() -> None:
    async def run() -> list[tuple[int, bool]]:
        lane = WindowQueue(size=2, live=True)
        for index in range(5):
            lane.put(QueuedWindow(window(index)))
        lane.end()
        await asyncio.sleep(0)
        return await taken(lane)

    assert asyncio.run(run()) == [(0, True), (1, True), (2, True), (3, False), (4, False)]


def test_a_full_lane_of_a_file_makes_its_reader_wait() -> None:
    async def run() -> tuple[bool, list[tuple[int, bool]]]:
        lane = WindowQueue(size=2, live=False)

        def read() -> None:
            for index in range(6):
                lane.put(QueuedWindow(window(index)))
            lane.end()

        reader = threading.Thread(target=read)
        reader.start()
        await asyncio.to_thread(reader.join, 0.1)
        waits = reader.is_alive()
        found = await taken(lane)
        await asyncio.to_thread(reader.join)
        return waits, found

    assert asyncio.run(run()) == (True, [(index, False) for index in range(6)])


@pytest.mark.parametrize("live", [True, False])
def test_an_ended_lane_is_not_waited_for(live: bool) -> None:
    async def run() -> list[tuple[int, bool]]:
        lane = WindowQueue(size=1, live=live)
        lane.end()
        return await taken(lane)

    assert asyncio.run(run()) == []
