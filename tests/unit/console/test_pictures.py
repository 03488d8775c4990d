"""Live pictures over one connection: the newest only, as often as asked for, of the cameras that somebody sees."""

import asyncio
from collections.abc import Callable

import pytest
from app.console.pictures import HEADER, MOST_VIEWERS, NOTHING, PictureHub, PictureViewer, pictures_of

from vigil.watch import SourceState
from waiting import HANG_S, Hands


def frames(stream: bytes) -> list[tuple[int, bytes]]:
    """Number and JPEG of each picture of a stream, beats left out."""
    found, at = [], 0
    while at < len(stream):
        index, _, _, size = HEADER.unpack_from(stream, at)
        at += HEADER.size
        if index != NOTHING:
            found.append((index, stream[at : at + size]))
        at += size
    return found


def in_loop(act: Callable[[], None]) -> None:
    async def run() -> None:
        act()

    asyncio.run(run())


def test_nothing_is_compressed_while_nobody_looks() -> None:
    hub = PictureHub()

    def act() -> None:
        viewer = PictureViewer(("door",), 5.0)
        assert not hub.wants_preview("door")
        hub.join(viewer)
        assert hub.wants_preview("door") and not hub.wants_preview("yard")
        hub.leave(viewer)
        assert not hub.wants_preview("door")

    in_loop(act)


def test_pictures_are_wanted_as_often_as_the_most_demanding_page_asks() -> None:
    clock = Hands()
    hub = PictureHub(clock)

    def act() -> None:
        slow, quick = PictureViewer(("door",), 1.0), PictureViewer(("door",), 5.0)
        hub.join(slow)
        hub.on_preview("door", b"1", 0.0)
        clock.wait(0.5)
        assert not hub.wants_preview("door")
        clock.wait(0.4)
        assert hub.wants_preview("door")
        hub.join(quick)
        hub.on_preview("door", b"2", 1.0)
        clock.wait(0.17)
        assert hub.wants_preview("door")

    in_loop(act)


def test_a_page_gets_the_newest_picture_of_each_camera_once() -> None:
    hub = PictureHub()

    def act() -> None:
        viewer = PictureViewer(("door", "yard"), 5.0)
        hub.join(viewer)
        hub.on_preview("door", b"old", 0.0)
        hub.on_preview("door", b"new", 0.2)
        hub.on_preview("yard", b"other", 0.2)
        hub.on_preview("cellar", b"unseen", 0.2)
        assert frames(hub.newer(viewer)) == [(0, b"new"), (1, b"other")]
        assert hub.newer(viewer) == b""
        hub.on_preview("yard", b"another", 0.4)
        assert frames(hub.newer(viewer)) == [(1, b"another")]

    in_loop(act)


def test_a_camera_is_followed_by_its_id_when_it_is_renamed() -> None:
    hub = PictureHub()

    def act() -> None:
        viewer = PictureViewer(("id-1",), 5.0)
        hub.on_state(SourceState(name="door", live=True, camera_id="id-1"))
        hub.join(viewer)
        assert hub.wants_preview("door")
        hub.on_state(SourceState(name="gate", live=True, camera_id="id-1"))
        assert hub.wants_preview("gate") and not hub.wants_preview("door")
        hub.on_preview("gate", b"1", 0.0)
        assert frames(hub.newer(viewer)) == [(0, b"1")]

    in_loop(act)


def test_the_stream_waits_for_pictures() -> None:
    hub = PictureHub()

    async def read() -> bytes:
        viewer = PictureViewer(("door",), 25.0)
        hub.join(viewer)
        told = b""
        async for part in pictures_of(hub, viewer, lasts_s=HANG_S):
            told += part
            count = len(frames(told))
            if count == 3:
                break
            asyncio.get_running_loop().call_later(0.005, hub.on_preview, "door", bytes([65 + count]), 0.0)
        hub.leave(viewer)
        return told

    assert frames(asyncio.run(read())) == [(0, b"A"), (0, b"B"), (0, b"C")]
    assert hub.viewers == 0


def test_the_stream_ends_by_itself() -> None:
    hub = PictureHub()

    async def read() -> bytes:
        viewer = PictureViewer(("door",), 25.0)
        hub.join(viewer)
        return b"".join([part async for part in pictures_of(hub, viewer, lasts_s=0.05)])

    told = asyncio.run(read())
    assert told and frames(told) == []


def test_a_page_that_does_not_read_gets_the_newest_later() -> None:
    hub = PictureHub()

    async def read() -> list[tuple[int, bytes]]:
        viewer = PictureViewer(("door",), 25.0)
        hub.join(viewer)
        stream = pictures_of(hub, viewer, lasts_s=HANG_S)
        first = await anext(stream)
        for number in range(50):
            hub.on_preview("door", f"{number}".encode(), 0.0)
        return frames(first + await anext(stream))

    assert asyncio.run(read()) == [(0, b"49")]


def test_too_many_pages_are_refused() -> None:
    hub = PictureHub()

    def act() -> None:
        assert all(hub.join(PictureViewer(("door",), 1.0)) for _ in range(MOST_VIEWERS))
        assert not hub.join(PictureViewer(("door",), 1.0))

    in_loop(act)


@pytest.mark.parametrize("source", ["", "door\0", "x" * 300])
def test_a_camera_that_is_not_there_costs_nothing(source: str) -> None:
    hub = PictureHub()

    def act() -> None:
        viewer = PictureViewer((source,), 1.0)
        hub.join(viewer)
        assert hub.newer(viewer) == b""

    in_loop(act)
