"""Questions made of sentences are calibrated on the marks of their events, from 20 of both kinds on."""

import asyncio
import logging
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from incidents import make_event
from vigil.events import EventWindow, MarkValue
from vigil.questions import load_question
from vigil.sentence_question import question_from_sentence
from vigil.store import Store
from vigil.verdict import Answer, Cause
from vigil.watch.task_calibrations import MARKS_NEEDED, MarkCalibration, TaskCalibrations, fit_marks

SMOKE = question_from_sentence("Is there smoke?")
MODEL = "tiny"


def mark(
    store: Store,
    numbers: range,
    value: MarkValue,
    *,
    p_raw: float | None,
    task: str = SMOKE.name,
    model: str = MODEL,
    p_alarm: float = 0.9,
) -> None:
    """Events of so many numbers with two windows each, marked."""
    for number in numbers:
        windows = tuple(
            EventWindow(window=i, start_s=i * 2.0, end_s=i * 2.0 + 2.5, p_alarm=p_alarm, p_raw=p_raw) for i in range(2)
        )
        event = replace(make_event(), id=f"{task} {model} {number}", task=task, model=model, windows=windows)
        store.events.save(event, session=None)
        store.marks.add(event.id, value, who="lena")


def calibrations(store: Store | None, *, model: str = MODEL) -> TaskCalibrations:
    return TaskCalibrations(store, model=model)


def p_after(found: TaskCalibrations, p_raw: float) -> float:
    raw = {"alarm": p_raw, "normal": 1.0 - p_raw}
    return found.applied(Answer(question=SMOKE.name, probabilities=raw, raw_probabilities=raw), SMOKE).probabilities[
        "alarm"
    ]


def update(found: TaskCalibrations) -> MarkCalibration:
    asyncio.run(found.update({SMOKE.name: SMOKE}))
    known = found.of(SMOKE.name)
    assert known is not None
    return known


def test_the_twentieth_mark_calibrates_and_it_is_told_with_how_many(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Store.open(tmp_path / "e.db") as store:
        found = calibrations(store)
        mark(store, range(12), "false_alarm", p_raw=0.8)
        mark(store, range(12, MARKS_NEEDED - 1), "true", p_raw=0.97)
        before = update(found)
        assert (before.marks, before.true_events, before.calibration) == (19, 7, None)
        assert p_after(found, 0.8) == 0.8
        mark(store, range(MARKS_NEEDED - 1, MARKS_NEEDED), "true", p_raw=0.97)
        after = update(found)
        assert after.calibration is not None and after.calibration.clips == MARKS_NEEDED == 20
    assert p_after(found, 0.8) < 0.5 < p_after(found, 0.97), "0.8 was a false alarm each time"
    assert p_after(found, 0.5) < p_after(found, 0.8) < p_after(found, 0.97), "the order stays"
    assert "'Is there smoke?' is not calibrated: 19 marks (7 true, 12 false alarms); it takes 20" in caplog.text
    assert "'Is there smoke?' is calibrated on 20 marks (8 true, 12 false alarms)" in caplog.text


def test_marks_of_one_kind_alone_do_not_calibrate_however_many(tmp_path: Path) -> None:
    with Store.open(tmp_path / "e.db") as store:
        found = calibrations(store)
        mark(store, range(30), "true", p_raw=0.9)
        assert update(found).calibration is None and p_after(found, 0.9) == 0.9


def test_only_marks_of_this_question_and_this_model_count_and_only_the_newest_of_an_event(tmp_path: Path) -> None:
    with Store.open(tmp_path / "e.db") as store:
        found = calibrations(store)
        mark(store, range(15), "true", p_raw=0.9)
        mark(store, range(15), "true", p_raw=0.9, task="fight")
        mark(store, range(15), "true", p_raw=0.9, model="other")
        mark(store, range(15, 25), "false_alarm", p_raw=0.8)
        assert (update(found).true_events, update(found).false_alarms) == (15, 10)
        for number, value in enumerate(("false_alarm", "unsure", "")):
            store.marks.add(f"{SMOKE.name} {MODEL} {number}", value, who="otto")  # type: ignore[arg-type]
        assert (update(found).true_events, update(found).false_alarms) == (12, 11)


def test_it_is_fitted_on_what_the_model_said_also_once_events_are_calibrated(tmp_path: Path) -> None:
    """Events that were opened under a calibration have other probabilities, but the same raw ones."""
    with Store.open(tmp_path / "e.db") as store:
        mark(store, range(10), "false_alarm", p_raw=0.8, p_alarm=0.8)
        mark(store, range(10, 20), "true", p_raw=0.97, p_alarm=0.97)
        first = update(calibrations(store)).calibration
    with Store.open(tmp_path / "f.db") as store:
        mark(store, range(10), "false_alarm", p_raw=0.8, p_alarm=0.2)
        mark(store, range(10, 20), "true", p_raw=0.97, p_alarm=0.76)
        assert update(calibrations(store)).calibration == first


def test_events_of_older_stores_whose_raw_probability_is_not_known_do_not_count(tmp_path: Path) -> None:
    with Store.open(tmp_path / "e.db") as store:
        mark(store, range(10), "true", p_raw=None)
        mark(store, range(10, 22), "false_alarm", p_raw=0.8)
        found = update(calibrations(store))
    assert (found.true_events, found.false_alarms, found.calibration) == (0, 12, None)


def test_an_event_counts_once_however_long_it_is() -> None:
    is_true = {str(number): number % 2 == 0 for number in range(20)}
    short: dict[str, tuple[float, ...]] = {event_id: (0.9,) if true else (0.8,) for event_id, true in is_true.items()}
    long = {event_id: p * (50 if event_id == "0" else 1) for event_id, p in short.items()}
    assert fit_marks(is_true, short) == fit_marks(is_true, long)


def test_answers_of_other_questions_and_without_probabilities_stay_as_they_are(tmp_path: Path) -> None:
    with Store.open(tmp_path / "e.db") as store:
        found = calibrations(store)
        mark(store, range(10), "false_alarm", p_raw=0.8)
        mark(store, range(10, 20), "true", p_raw=0.97)
        update(found)
    stated, unknown = Answer(stated_label="alarm"), Answer.unknown(Cause.TIMEOUT)
    assert found.applied(stated, SMOKE) is stated and found.applied(unknown, SMOKE) is unknown
    raw = {"alarm": 0.8, "normal": 0.2}
    other = Answer(probabilities=raw, raw_probabilities=raw)
    assert found.applied(other, load_question("fall")) is other


def test_without_a_store_or_while_it_cannot_be_read_nothing_is_calibrated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = calibrations(None)
    asyncio.run(found.update({SMOKE.name: SMOKE}))
    assert found.of(SMOKE.name) is None
    with Store.open(tmp_path / "e.db") as store:
        with sqlite3.connect(tmp_path / "e.db") as connection:
            connection.execute("ALTER TABLE marks RENAME TO elsewhere")
        connection.close()
        found = calibrations(store)
        asyncio.run(found.update({SMOKE.name: SMOKE}))
        assert found.of(SMOKE.name) is None
        assert "the marks of 'Is there smoke?' cannot be read" in caplog.text
        with sqlite3.connect(tmp_path / "e.db") as connection:
            connection.execute("ALTER TABLE elsewhere RENAME TO marks")
        connection.close()
        assert update(found).marks == 0
