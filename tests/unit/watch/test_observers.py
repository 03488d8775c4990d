"""Everybody who follows a watch: who fails harms nobody else, in whatever they are asked or told."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from incidents import make_event, make_judged
from vigil.events import EventChange
from vigil.frames import Frame
from vigil.watch import SourceState, WatchObserver
from vigil.watch.observers import ObserverGroup
from watching import Notes


class Failing(WatchObserver):
    """Fails in everything."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)
        return self.__class__.fail

    @staticmethod
    def fail(*_: object) -> None:
        raise ZeroDivisionError("never seen before")


@dataclass
class Looking(Notes):
    """Looks, and notes the pictures it is shown."""

    pictures: int = 0
    frames: int = 0

    def wants_preview(self, source: str) -> bool:
        return source == "door"

    def on_preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        self.pictures += 1

    def on_frame(self, source: str, frame: Frame) -> None:
        self.frames += 1


def test_one_that_fails_keeps_nobody_from_hearing_or_looking(caplog: pytest.LogCaptureFixture) -> None:
    looking = Looking()
    audience = ObserverGroup([Failing(), looking])
    audience.on_frame("door", Frame(np.zeros((2, 2, 3), np.uint8), 0.0))
    audience.on_state(SourceState(name="door", live=True))
    audience.on_verdict(make_judged(0))
    audience.on_result(make_judged(0))
    audience.on_change(EventChange("opened", make_event()))
    audience.on_preview("door", b"", 0.0)
    assert audience.wants_preview("door") and not audience.wants_preview("yard")
    audience.on_close()
    assert (looking.frames, looking.pictures, looking.closed) == (1, 1, True)
    assert len(looking.states) == len(looking.judged_) == len(looking.told_) == len(looking.changes) == 1
    assert "Failing" in caplog.text


def test_one_that_fails_at_every_picture_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    audience = ObserverGroup([Failing()])
    for _ in range(1000):
        assert not audience.wants_preview("door")
    assert 1 <= len(caplog.records) <= 10
