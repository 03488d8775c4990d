"""Everybody who follows a watch: who fails harms nobody else, in whatever they are asked or told."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from incidents import make_event, make_judged
from vigil.events.change import Change
from vigil.frames import Frame
from vigil.watch import Observer, SourceState
from vigil.watch.audience import Audience
from watching import Notes


class Failing(Observer):
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

    def looks_at(self, source: str) -> bool:
        return source == "door"

    def preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        self.pictures += 1

    def seen(self, source: str, frame: Frame) -> None:
        self.frames += 1


def test_one_that_fails_keeps_nobody_from_hearing_or_looking(caplog: pytest.LogCaptureFixture) -> None:
    looking = Looking()
    audience = Audience([Failing(), looking])
    audience.seen("door", Frame(np.zeros((2, 2, 3), np.uint8), 0.0))
    audience.state(SourceState(name="door", live=True))
    audience.judged(make_judged(0))
    audience.told(make_judged(0))
    audience.changed(Change("opened", make_event()))
    audience.preview("door", b"", 0.0)
    assert audience.looks_at("door") and not audience.looks_at("yard")
    audience.close()
    assert (looking.frames, looking.pictures, looking.closed) == (1, 1, True)
    assert len(looking.states) == len(looking.judged_) == len(looking.told_) == len(looking.changes) == 1
    assert "Failing" in caplog.text


def test_one_that_fails_at_every_picture_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    audience = Audience([Failing()])
    for _ in range(1000):
        assert not audience.looks_at("door")
    assert 1 <= len(caplog.records) <= 10
