"""Questions to the past by meaning over HTTP: other words find what is meant, and it is told how it was searched."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api_service import service_at
from observing import make_observation
from scripted_server import ScriptedServer
from vigil.store import Store
from waiting import until

EVERYDAY = ("两个人在交谈", "a car drives past", "树影晃动", "nothing changes", "一个人提着袋子")
ASKED = {"question": "有小狗吗？", "model": False}


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with everyday lines, and a dog in one of them."""
    path = tmp_path_factory.mktemp("yard") / "events.db"
    with Store.open(path) as store:
        lines = [make_observation(number, EVERYDAY[number % 5]) for number in range(40)]
        store.observations.add([*lines, make_observation(90, "a dog runs past", id="dog")])
    return path


@pytest.fixture
def asking(endpoint: ScriptedServer, yard: Path, tmp_path: Path, words: list[str]) -> Iterator[httpx.Client]:
    """One who asks a service with the store, and with these settings."""
    kept = ["--set", "retention.observation_days=36500", *words]
    with service_at(endpoint.url, *kept, folder=tmp_path, store=yard) as running, running.client() as client:
        yield client


@pytest.mark.parametrize("words", [[]])
def test_other_words_find_what_is_meant_once_lines_have_vectors(asking: httpx.Client) -> None:
    until(lambda: asking.post("/ask", json=ASKED).json()["unindexed"] == 0)
    told = asking.post("/ask", json=ASKED).json()
    assert told["meaning"] == "on" and [record["id"] for record in told["records"]] == ["dog"]
    assert told["outcome"] == "records_only" and 0 < told["records"][0]["score"] <= 1
    nothing = asking.post("/ask", json=ASKED | {"question": "did anyone play the piano?"}).json()
    assert nothing["outcome"] == "nothing_recorded" and nothing["meaning"] == "on"
    by_words = asking.post("/ask", json=ASKED | {"meaning": False}).json()
    assert by_words["outcome"] == "nothing_recorded" and by_words["meaning"] == "off"


@pytest.mark.parametrize("words", [["--set", "ask_by_meaning=never"]])
def test_where_it_is_not_wanted_only_words_are_searched(asking: httpx.Client) -> None:
    told = asking.post("/ask", json=ASKED).json()
    assert (told["outcome"], told["meaning"], told["unindexed"]) == ("nothing_recorded", "off", 0)
