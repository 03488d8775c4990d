"""A failure of the system is a sentence, and places are looked at before the work."""

import ast
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vigil.cli.main import main
from vigil.errors import UsageError
from vigil.files import (
    atomic_folder,
    atomic_path,
    explain_os_error,
    require_writable_file,
    require_writable_folder,
    write_atomically,
    write_json,
)

ROOT = Path(__file__).parents[2]


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


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is synced to the disk, in order, as they are at that moment."""
    names: list[str] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return names


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_anyone_is_told(
    tmp_path: Path, synced: list[str]
) -> None:
    write_atomically(tmp_path / "a.json", "one")
    assert synced == ["a.json.partial", tmp_path.name]
    synced.clear()
    with atomic_path(tmp_path / "b.mp4", keep_suffix=True) as partial:
        partial.write_bytes(b"clip")
        assert synced == [] and partial.name == "b.partial.mp4"
    assert synced == ["b.partial.mp4", tmp_path.name]
    synced.clear()
    with atomic_folder(tmp_path / "model") as folder:
        (folder / "weights").write_bytes(b"1")
    assert synced == ["weights", "model.partial", tmp_path.name]


def test_what_is_made_again_in_seconds_is_not_synced(tmp_path: Path, synced: list[str]) -> None:
    with atomic_folder(tmp_path / "frames", sync=False) as folder:
        (folder / "0.jpg").write_bytes(b"jpeg")
    with atomic_path(tmp_path / "clip.mp4", sync=False) as partial:
        partial.write_bytes(b"clip")
    assert synced == [] and (tmp_path / "frames" / "0.jpg").exists() and (tmp_path / "clip.mp4").exists()


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"words": "打架"})
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    with pytest.raises(ValueError, match="no"), atomic_path(tmp_path / "a.json") as partial:
        partial.write_text("half")
        raise ValueError("no")
    with pytest.raises(ValueError, match="no"), atomic_folder(tmp_path / "model") as folder:
        (folder / "new").touch()
        raise ValueError("no")
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "words": "打架"\n}\n'
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.json", "model", "old"]


def test_a_folder_replaces_the_old_one_whole_and_what_a_killed_writer_left(tmp_path: Path) -> None:
    for name in ("model", "model.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stale").touch()
    with atomic_folder(tmp_path / "model") as folder:
        (folder / "new").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["model", "new"]


def test_a_private_file_is_its_owners_and_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "users.partial").symlink_to(tmp_path / "elsewhere")
    write_atomically(tmp_path / "users", "lena:secret\n", private=True)
    assert stat.S_IMODE((tmp_path / "users").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["users"]


OTHER = """
import sys
from pathlib import Path
from vigil.files import atomic_path
with atomic_path(Path(sys.argv[1]), per_process=True) as partial:
    partial.write_bytes(b"theirs")
"""


def test_two_processes_may_make_one_file_at_once(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "clip.mp4", per_process=True) as partial:
        partial.write_bytes(b"ours")
        subprocess.run([sys.executable, "-c", OTHER, tmp_path / "clip.mp4"], check=True)
        assert (tmp_path / "clip.mp4").read_bytes() == b"theirs"
    assert (tmp_path / "clip.mp4").read_bytes() == b"ours" and len(list(tmp_path.iterdir())) == 1


MOVES = {"rename", "replace", "renames", "move"}
RENAMING = re.compile(rf"\.({'|'.join(MOVES)})\(")
ALLOWED = {
    "src/vigil/files.py": "partial.replace(path)",
    # The model of before, which is complete, is moved aside for the new one.
    "src/vigil/training/export.py": "plan.out.rename(plan.old)",
}


def test_no_other_file_writes_under_a_temporary_name_and_renames() -> None:
    found = set(_renames())
    others = {(file, call) for file, call in found if ALLOWED.get(file) != call}
    assert others == set(), "use vigil.files.write_atomically, write_json, atomic_path or atomic_folder"
    assert {file for file, _ in found} == ALLOWED.keys(), "an exception that is not needed any more"


def _renames() -> Iterator[tuple[str, str]]:
    """All calls that rename a file: functions of `os` and `shutil`, and methods `rename` or `replace` of a path."""
    for path in [path for room in ("src", "app", "tools") for path in (ROOT / room).rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if RENAMING.search(text):
            calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and _is_rename(node)]
            yield from ((path.relative_to(ROOT).as_posix(), ast.unparse(call)) for call in calls)


def _is_rename(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    # `str.replace` takes two arguments, `dataclasses.replace` is no method, and `datetime.replace` takes keywords.
    one_path = call.func.attr in {"rename", "replace"} and len(call.args) == 1 and not call.keywords
    return one_path or (call.func.attr in MOVES and ast.unparse(call.func.value) in {"os", "shutil"})
