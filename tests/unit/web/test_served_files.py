import os
from pathlib import Path

import pytest
from app.web.served_files import add_file_route, find_file
from fastapi import FastAPI
from starlette.testclient import TestClient

HOSTILE = b"<script>parent.document.title = 'taken'</script>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "uploads"
    made.mkdir()
    return made


@pytest.fixture
def client(folder: Path) -> TestClient:
    app = FastAPI()
    add_file_route(app, lambda: [folder])
    return TestClient(app)


def address(path: Path) -> str:
    return f"/en/gradio_api/file={path}"


NOT_SHOWN = ("a.html", "a.svg", "a.xml", "a.xhtml", "a.pdf", "a.js", "a.css", "a.mht", "a.bin", "a", "a.png.html")


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_what_is_no_picture_or_video_is_saved_and_never_shown(client: TestClient, folder: Path, name: str) -> None:
    (folder / name).write_bytes(HOSTILE)
    answer = client.get(address(folder / name))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox;")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", "image/png"), ("a.JPG", "image/jpeg"), ("a.mp4", "video/mp4"), ("a.webm", "video/webm")],
)
def test_pictures_and_videos_are_shown_as_such_and_nothing_in_them_runs(
    client: TestClient, folder: Path, name: str, kind: str
) -> None:
    (folder / name).write_bytes(HOSTILE)
    answer = client.get(address(folder / name))
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-disposition"].startswith("inline")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox;") and "allow-scripts" not in policy and "default-src 'none'" in policy


def test_a_video_is_given_in_ranges(client: TestClient, folder: Path) -> None:
    (folder / "a.mp4").write_bytes(bytes(range(100)))
    answer = client.get(address(folder / "a.mp4"), headers={"Range": "bytes=10-19"})
    assert answer.status_code == 206 and answer.content == bytes(range(10, 20))
    assert client.get(address(folder / "a.mp4"), headers={"Range": "bytes=200-"}).status_code == 416
    assert client.head(address(folder / "a.mp4")).headers["content-length"] == "100"


def test_only_regular_files_below_the_folders_are_found(tmp_path: Path, folder: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (folder / "link.png").symlink_to(secret)
    (folder / "down").symlink_to(tmp_path)
    (folder / "a.png").write_bytes(b"x")
    os.mkfifo(folder / "pipe.png")
    beside = tmp_path / "uploads-of-another"
    beside.mkdir()
    (beside / "b.png").write_bytes(b"x")
    assert find_file(str(folder / "a.png"), [folder]) == folder / "a.png"
    assert find_file(str(folder / "nothing" / ".." / "a.png"), [folder]) is None
    for path in (
        secret,
        folder / ".." / "secret.txt",
        folder / "link.png",
        folder / "down" / "secret.txt",
        folder / "pipe.png",
        folder,
        beside / "b.png",
        "a.png",
        "",
        "/x\0y",
        "/" + "x" * 5000,
        "/proc/self/environ",
        "http://127.0.0.1/x.png",
    ):
        assert find_file(str(path), [folder]) is None, path


def test_a_file_that_is_not_there_is_answered_like_one_that_may_not_be_seen(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    there, missing = client.get(address(tmp_path / "secret.txt")), client.get(address(tmp_path / "none.txt"))
    assert (there.status_code, there.text) == (missing.status_code, missing.text) == (404, missing.text)


def test_names_of_files_make_no_header(client: TestClient, folder: Path) -> None:
    name = 'a"; filename="b.html'
    (folder / name).write_bytes(b"x")
    answer = client.get(f"/en/gradio_api/file={folder}/a%22%3B%20filename%3D%22b.html")
    assert answer.headers["content-disposition"].startswith("attachment; filename*=utf-8''a%22%3B")
