"""Processes that save alarms and send them, killed with -9 at random moments, and what a receiver got in the end."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from alerting import Receiver, alerts_to, settled, webhook
from vigil.alerts import Outbox
from vigil.store import Store
from waiting import HANG_S

TESTS = Path(__file__).resolve().parent

CHILD = """
import sys, time
from pathlib import Path
from alerting import alarm, alerts_to, save, webhook
from vigil.alerts import Outbox
from vigil.store import Store
with Store.open(Path(sys.argv[1])) as store, Outbox(alerts_to(webhook(sys.argv[2])), store) as outbox:
    print("ready", flush=True)
    for number in range(100_000):
        save(store, alarm(source=f"{sys.argv[3]}-{number}"), outbox)
        time.sleep(0.005)
"""


@dataclass(frozen=True, slots=True)
class KillCount:
    """What became of the alarms: how many were stored, never sent, sent under two keys, and posted more than once."""

    kills: int
    stored: int
    lost: int
    twice: int
    repeated: int


def kill_often(db: Path, got: Receiver, *, kills: int, seed: int = 0) -> KillCount:
    """Kills one process after another while it saves and sends, then lets a last one send what is left.

    A receiver that was posted an alarm may have been killed's last act before it noted that: then it comes again, under
    the same key. `twice` counts alarms that came under more than one.
    """
    chance = random.Random(seed)
    Store.open(db).close()
    with Store.open(db) as store:
        Outbox(alerts_to(webhook(got.url)), store).__enter__().close()
    for number in range(kills):
        _kill_once(db, got, run=number, after_s=chance.uniform(0.0, 0.4))
    with Store.open(db) as store, Outbox(alerts_to(webhook(got.url)), store):
        time.sleep(0.1)
        settled(store)
        stored = {event.id for event in store.events.find()}
    keys: dict[str, set[str]] = defaultdict(set)
    for each in got.taken:
        keys[each.json["id"]].add(each.headers["idempotency-key"])
    return KillCount(
        kills=kills,
        stored=len(stored),
        lost=len(stored - keys.keys()),
        twice=sum(len(each) > 1 for each in keys.values()),
        repeated=len(got.taken) - len(keys),
    )


def _kill_once(db: Path, got: Receiver, *, run: int, after_s: float) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])}
    command = [sys.executable, "-c", CHILD, str(db), got.url, str(run)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == b"ready\n"
            time.sleep(after_s)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait(HANG_S)
