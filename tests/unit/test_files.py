"""A failure of the system is a sentence, and places are looked at before the work."""

import os
from pathlib import Path

import pytest

from vigil.cli.main import main
from vigil.errors import UsageError
from vigil.files import explain_os_error, require_writable_file, require_writable_folder


def test_a_failure_names_its_place_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OSError) as refused:
        (tmp_path / "none" / "file").write_text("")
    assert explain_os_error(refused.value) == f"{tmp_path}/none/file: No such file or directory; name another place"
    assert explain_os_error(OSError(28, os.strerror(28)), "a") == (
        "a: No space left on device; make room on the disk, then run the same command again"
    )
    assert explain_os_error(TimeoutError()) == "TimeoutError; fix that, then run the same command again"


def test_what_the_system_refuses_ends_a_command_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "a" * 300]) == 1
    told = capsys.readouterr().err
    assert "File name too long" in told and len(told.splitlines()) == 1


def test_places_that_can_be_made_are_let_pass(tmp_path: Path) -> None:
    require_writable_folder(tmp_path / "a" / "b", "--out")
    require_writable_file(tmp_path / "a" / "b.json", "--json")
    require_writable_file(None, "--json")
    assert list(tmp_path.iterdir()) == []


def test_a_place_below_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="gone is no folder"):
        require_writable_file(tmp_path / "gone" / "s.json", "--json")
