import resource
from pathlib import Path

import pytest

from vigil.errors import JobError
from vigil.score.journal import Journal, JournalEntry, read_journal
from vigil.verdict import Cause, Outcome

HEADER = {"model": "m", "contract": "c"}


def record(name: str, **more: object) -> JournalEntry:
    return JournalEntry(
        **({"digest": name, "clip": name, "window": 0, "outcome": Outcome.ALARM, "p_alarm": 0.9} | more)
    )


def interrupted(path: Path, *records: JournalEntry) -> None:
    with Journal(path, header=HEADER) as journal:
        for one in records:
            journal.add(one)


def test_an_interrupted_run_is_remembered(tmp_path: Path) -> None:
    interrupted(tmp_path / "j.jsonl", record("a"), record("b"))
    assert Journal(tmp_path / "j.jsonl", header=HEADER).completed == {"a": record("a"), "b": record("b")}


def test_a_half_line_left_by_a_kill_is_dropped_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    interrupted(path, record("a"))
    with path.open("a") as file:
        file.write('{"digest": "b", "clip": "b", "wind')
    interrupted(path, record("c"))
    assert {r.digest for r in read_journal(path)} == {"a", "c"}
    assert all(line.endswith("}") for line in path.read_text().splitlines())


def test_unknown_verdicts_are_asked_again(tmp_path: Path) -> None:
    lost = record("b", outcome=Outcome.UNKNOWN, cause=Cause.TIMEOUT, p_alarm=None)
    interrupted(tmp_path / "j.jsonl", record("a"), lost)
    assert set(Journal(tmp_path / "j.jsonl", header=HEADER).completed) == {"a"}


def test_a_complete_run_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, header=HEADER) as journal:
        journal.add(record("a"))
        journal.close_run()
    assert Journal(path, header=HEADER).completed == {}
    assert [r.digest for r in read_journal(path)] == ["a"]


@pytest.mark.parametrize("change", [{"header": {"model": "other"}}, {"header": HEADER, "fresh": True}])
def test_another_model_or_a_fresh_start_takes_nothing_over(tmp_path: Path, change: dict) -> None:
    interrupted(tmp_path / "j.jsonl", record("a"))
    assert Journal(tmp_path / "j.jsonl", **change).completed == {}


def test_a_journal_that_cannot_be_written_says_so_and_what_is_in_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path, header=HEADER) as journal:
        journal.add(record("a"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, limits[1]))
        try:
            with pytest.raises(JobError, match=r"j\.jsonl: File too large.*the same command"):
                journal.add(record("b"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "a" in Journal(path, header=HEADER).completed


def test_rubbish_in_the_file_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b"\xff\xfe not json\n[1]\n{}\n")
    assert Journal(path, header=HEADER).completed == {} and read_journal(path) == []
