import io
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from app import audit_log
from app.http.rate_limited_log import RateLimitFilter


@pytest.fixture(autouse=True)
def no_file_left() -> Iterator[None]:
    before = list(audit_log.log.handlers)
    yield
    for handler in [each for each in audit_log.log.handlers if each not in before]:
        audit_log.log.removeHandler(handler)
        handler.close()


def test_acts_are_kept_where_only_their_owner_reads_them(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        kept = audit_log.keep_in(tmp_path / "web")
        audit_log.record("add a camera", user="ada", address="10.0.0.7", camera="door")
    finally:
        os.umask(umask)
    assert 'add a camera user="ada" address="10.0.0.7" camera="door"' in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_what_a_visitor_writes_makes_no_second_line_and_no_second_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="vigil.audit"):
        audit_log.record("sign-in refused", user='eve"\n2026-01-01T00:00:00Z signed in user="ada', address="x" * 5000)
    (told,) = caplog.messages
    assert "\n" not in told and len(told) < 400
    assert told.count('user="') == told.count('\\nuser="') or "user='" in told


def test_the_log_of_acts_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "FILE_BYTES", 2000)
    kept = audit_log.keep_in(tmp_path)
    for number in range(500):
        audit_log.record("sign-in refused", user=f"user {number}", address="10.0.0.7")
    files = list(tmp_path.iterdir())
    assert len(files) == audit_log.FILES and sum(path.stat().st_size for path in files) <= audit_log.FILES * 2000
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert 'user="user 499"' in kept.read_text()


def test_too_many_tries_are_told_of_once_a_minute_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    rare = audit_log.RareWarning(clock=lambda: now[0])
    with caplog.at_level(logging.INFO, logger="vigil.audit"):
        for second in range(62):
            now[0] = float(second)
            rare.say("too many sign-ins", user="ada")
    assert caplog.messages == ['too many sign-ins user="ada"', 'too many sign-ins user="ada" before_that="59"']


def test_a_program_that_sends_its_password_with_every_request_is_noted_once(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    first = audit_log.FirstOfMany(again_s=3600.0, clock=lambda: now[0])
    with caplog.at_level(logging.INFO, logger="vigil.audit"):
        for second in (0.0, 1.0, 3599.0, 3600.0):
            now[0] = second
            first.say("program let in", user="ada", address="10.0.0.7")
        first.say("program let in", user="ada", address="10.0.0.8")
    assert [line.rpartition("address=")[2] for line in caplog.messages] == ['"10.0.0.7"', '"10.0.0.7"', '"10.0.0.8"']


def test_the_terminal_gets_a_few_acts_of_each_minute_and_the_file_all(tmp_path: Path) -> None:
    kept, terminal = audit_log.keep_in(tmp_path), io.StringIO()
    handler = logging.StreamHandler(terminal)
    handler.addFilter(audit_log.is_told(RateLimitFilter()))
    logging.getLogger().addHandler(handler)
    try:
        for number in range(200):
            audit_log.record("sign-in refused", user=f"user {number}", address="10.0.0.7")
        logging.getLogger("vigil.watch").warning("a camera is away")
    finally:
        logging.getLogger().removeHandler(handler)
    assert kept.read_text().count("\n") == 200
    assert 1 < terminal.getvalue().count("sign-in refused") < 10
    assert "a camera is away" in terminal.getvalue()
