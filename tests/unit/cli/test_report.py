"""`vigil report`: to the terminal, into a file, and by e-mail."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from incidents import make_event
from mail_server import Mailbox, mail_server
from vigil.cli.main import main
from vigil.history.shift_report import shift_span
from vigil.store import Store

Told = pytest.CaptureFixture[str]


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store with one event on 2026-11-20."""
    path = tmp_path / "events.db"
    monkeypatch.setenv("VIGIL_STORE", str(path))
    noon_s = shift_span(day=date(2026, 11, 20)).since.timestamp() + 12 * 3600
    with Store.open(path) as store:
        store.events.save(make_event(id="e1", epoch_s=noon_s, end_s=4.0, text="two people push"))
    yield path


def test_a_day_is_printed_or_written(db: Path, tmp_path: Path, capsys: Told) -> None:
    assert main(["report", "--day", "2026-11-20"]) == 0
    printed = capsys.readouterr().out
    assert "two people push" in printed and "Nobody looked at" in printed
    assert main(["report", "--day", "2026-11-20", "--out", str(tmp_path / "r.md")]) == 0
    assert (tmp_path / "r.md").read_text(encoding="utf-8") == printed


def test_it_goes_out_by_the_sink_of_the_settings(db: Path, tmp_path: Path) -> None:
    box, config = Mailbox(), tmp_path / "watch.yaml"
    with mail_server(box) as port:
        server = f"host: 127.0.0.1, port: {port}, security: none"
        sink = f"{{type: email, name: office, {server}, sender: v@example.org, to: [a@example.org]}}"
        config.write_text(f"alerts:\n  sinks: [{sink}]\n")
        words = ["report", "--day", "2026-11-20", "--language", "zh", "--mail", "office", "--config", str(config)]
        assert main(words) == 0
    [sent] = box.mails
    assert sent["Subject"].startswith("值守报告：2026-11-20") and "two people push" in sent.get_content()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--day", "tomorrow"], "--day 'tomorrow'"),
        (["--shift", "10-11"], "--shift '10-11'"),
        (["--mail", "nosuch"], "no sink 'nosuch' of type email"),
        (["--store", "none.db"], "there is no store"),
    ],
)
def test_what_cannot_be_reported_is_refused(db: Path, capsys: Told, words: list[str], told: str) -> None:
    assert main(["report", *words]) in (1, 2)
    assert told in capsys.readouterr().err.replace("\n", " ")


def test_without_a_model_the_report_comes_without_a_summary(
    db: Path, capsys: Told, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["report", "--day", "2026-11-20", "--summary", "--url", "http://127.0.0.1:9/v1"]) == 0
    told = capsys.readouterr()
    assert "two people push" in told.out and "the report has no summary" in told.err
