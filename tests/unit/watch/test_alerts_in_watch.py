"""A real watch tells a webhook of its alarm, whichever way it was started."""

import asyncio
from pathlib import Path

import pytest

from alerting import alerts_to, receiver, webhook
from judging import SAMPLING, tokenized
from vigil.errors import UsageError
from vigil.manifest import Contract
from vigil.questions import load_question
from vigil.store import Store
from vigil.watch import WatchSettings
from vigil.watch.background import BackgroundWatcher
from vigil.watch.run import run_watch
from waiting import HANG_S, until
from watching import bright_server, film


@pytest.mark.parametrize("background", [False, True], ids=["run_watch", "BackgroundWatcher"])
def test_an_alarm_of_a_watch_reaches_a_webhook(tmp_path: Path, background: bool) -> None:
    db = tmp_path / "e.db"
    fight = film(tmp_path / "fight.mp4", seconds=20, bright=[(6, 14)])
    with bright_server() as server, receiver() as got:
        server.routes["/tokenize"] = tokenized({"是的": [7], "没有": [9]})
        server.models.append(Contract.of(load_question("fight"), SAMPLING).alias)
        settings = WatchSettings(
            sources=(str(fight),), url=server.url, model="tiny", store=str(db), deadline_s=HANG_S, describe="never",
            alerts=alerts_to(webhook(got.url)),
        )  # fmt: skip
        if background:
            watcher = BackgroundWatcher(settings)
            watcher.start()
            until(lambda: len(got.taken) >= 2)
            watcher.stop()
        else:
            asyncio.run(run_watch(settings))
    with Store.open(db) as store:
        [event] = store.events.find()
    told = [(each.json["id"], each.json["kind"], each.json["durable"]) for each in got.taken]
    assert told == [(event.id, "opened", True), (event.id, "closed", True)]
    assert got.taken[0].json["camera"]["name"] == "fight.mp4"


def test_alerts_without_a_store_are_refused() -> None:
    with pytest.raises(UsageError, match="alerts need a store"):
        WatchSettings(store="", alerts=alerts_to(webhook("http://h.example/")))
