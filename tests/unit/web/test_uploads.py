import os
import time
from pathlib import Path

import pytest
from app.web.uploads import Uploads, inspect_upload
from PIL import Image

from films import shoot
from vigil.errors import SourceError
from watching import film


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads.make(tmp_path / "kept", keep_s=60)


def picture(path: Path, **options: object) -> Path:
    Image.new("RGB", (64, 48), "red").save(path, format="PNG", **options)  # type: ignore[arg-type]
    return path


def test_a_file_is_what_it_holds(tmp_path: Path) -> None:
    assert inspect_upload(picture(tmp_path / "clip.mp4")).kind == "picture"
    assert inspect_upload(film(tmp_path / "film.mp4", seconds=1).rename(tmp_path / "photo.jpg")).kind == "video"
    (tmp_path / "camera.png").write_text("rtsp://127.0.0.1/yard\n")
    seen = inspect_upload(tmp_path / "camera.png")
    assert seen.kind == "camera"
    assert seen.address is not None
    assert seen.address.location == "rtsp://127.0.0.1/yard"


def test_only_what_browsers_play_is_called_playable(tmp_path: Path) -> None:
    assert inspect_upload(film(tmp_path / "film.mp4", seconds=1)).is_playable
    shoot(tmp_path / "old.avi", format="avi", codec="mpeg4", frames=30)
    assert not inspect_upload(tmp_path / "old.avi").is_playable


def test_a_picture_that_moves_is_a_video(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue", "white")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=500)
    assert inspect_upload(tmp_path / "a.gif").kind == "video"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.png", b""),
        ("noise.mp4", os.urandom(5000)),
        ("page.html", b"<script>alert(1)</script>"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        ("picture.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("cut.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40),
        ("camera.txt", b"file:///etc/passwd"),
    ],
)
def test_anything_else_is_refused_without_showing_our_paths(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError) as refused:
        inspect_upload(tmp_path / name)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("name", ["clip.mp4", "photo.JPG", "notes.md"])
def test_a_file_with_text_in_it_is_no_camera_file_unless_it_is_called_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("hello\n" * 1000)
    with pytest.raises(SourceError, match=f"^{name} holds text, neither a video"):
        inspect_upload(tmp_path / name)
    (tmp_path / "camera.txt").write_text("hello\n")
    with pytest.raises(SourceError, match=r"camera\.txt, line 1: 'hello' is neither a webcam number nor an address"):
        inspect_upload(tmp_path / "camera.txt")


def test_a_name_is_never_a_path(uploads: Uploads, tmp_path: Path) -> None:
    sent = picture(tmp_path / "<img src=x>.html")
    mine = uploads.visitor_folder()
    kept = uploads.take(sent, mine)
    assert kept.name == "<img src=x>.html"
    assert kept.path.parent == mine
    assert kept.path.suffix == ".png"
    assert "img" not in kept.path.name


def test_what_is_sent_can_be_handed_on_under_its_own_name(uploads: Uploads, tmp_path: Path) -> None:
    sent = film(tmp_path / "后院 (1).mp4", seconds=1)
    kept = uploads.take(sent, uploads.visitor_folder())
    again = uploads.take(kept.sent, uploads.visitor_folder())
    assert (kept.name, again.name) == ("后院 (1).mp4", "后院 (1).mp4")


def test_what_cannot_be_seen_in_a_name_is_told_as_a_question_mark(tmp_path: Path) -> None:
    turned = picture(tmp_path / "harmless\u202egpj.exe")
    assert inspect_upload(turned).name == "harmless?gpj.exe"


def test_folders_of_visitors_are_their_own(uploads: Uploads) -> None:
    first, second = uploads.visitor_folder(), uploads.visitor_folder()
    assert first != second
    assert uploads.folder.stat().st_mode & 0o077 == 0
    assert len(first.name) >= 20


def test_old_files_go_and_what_is_used_stays(uploads: Uploads, tmp_path: Path) -> None:
    first, second = uploads.visitor_folder(), uploads.visitor_folder()
    old = uploads.take(picture(tmp_path / "a.png"), first)
    used = uploads.take(picture(tmp_path / "b.png"), second)
    long_ago = time.time() - 100
    for path in (old.path, used.path, first):
        os.utime(path, (long_ago, long_ago))
    assert uploads.exists(used)
    assert uploads.sweep() == 1
    assert not uploads.exists(old)
    assert used.path.exists()
    uploads.remove()
    assert not uploads.folder.exists()


def test_a_file_that_goes_by_itself_does_not_keep_the_others_from_being_swept(
    uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = uploads.visitor_folder()
    names = ("a.png", "b.png", "c.png")
    kept = [uploads.take(picture(tmp_path / name), folder).path for name in names]
    for path in kept:
        os.utime(path, (0, 0))
    stat = Path.stat

    def gone_meanwhile(path: Path, **more: bool) -> os.stat_result:
        if path == kept[1] and os.path.lexists(path):
            path.unlink()
        return stat(path, **more)

    monkeypatch.setattr(Path, "stat", gone_meanwhile)
    assert uploads.sweep() == 2
    assert not any(os.path.lexists(path) for path in kept)


def test_a_start_removes_what_a_killed_one_left_and_nothing_of_one_that_runs(uploads: Uploads, tmp_path: Path) -> None:
    dead = Uploads.make(tmp_path / "kept", keep_s=60)
    for each in (uploads, dead):
        os.utime(each.folder, (0, 0))
    assert dead.lock is not None
    os.close(dead.lock)
    Uploads.make(tmp_path / "kept", keep_s=60)
    assert uploads.folder.exists() and not dead.folder.exists()
    uploads.remove()
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_folders_of_somebodys_beside_the_uploads_stay(tmp_path: Path) -> None:
    theirs = [tmp_path / name for name in ("start-up-films", "start-2026", "start-0123456789abcdefg")]
    for folder in theirs:
        folder.mkdir()
        (folder / "film.mp4").touch()
        for path in (folder / "film.mp4", folder):
            os.utime(path, (1, 1))
    Uploads.make(tmp_path, keep_s=1.0).remove()
    assert all((folder / "film.mp4").is_file() for folder in theirs)
