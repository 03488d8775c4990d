import logging
from pathlib import Path

import pytest

from vigil.errors import SourceError, UsageError, VigilError
from vigil.sources.address import Address, find_sources, shorten_for_display

SECRET = "hunter2"


def names(*words: object) -> list[str]:
    return [address.name for address in find_sources([str(word) for word in words])]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_file_goes_by_its_name_and_a_number_is_a_webcam(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    file, webcam = find_sources([str(tmp_path / "a.mp4"), "00"])
    assert (file.kind, file.name, file.location) == ("file", "a.mp4", str(tmp_path / "a.mp4"))
    assert (webcam.kind, webcam.name, webcam.location) == ("webcam", "webcam 0", "0")
    assert not file.is_live
    assert webcam.is_live


def test_a_folder_gives_its_videos_in_order_and_hides_none(tmp_path: Path) -> None:
    touch(tmp_path / "b.mp4", tmp_path / "a" / "z.mkv", tmp_path / "notes.txt", tmp_path / ".hidden.mp4")
    assert names(tmp_path) == ["a/z.mkv", "b.mp4"]


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https"])
def test_an_address_shows_neither_user_nor_password(scheme: str) -> None:
    (address,) = find_sources([f"{scheme}://admin:{SECRET}@10.0.0.7:554/1"])
    assert address == Address("stream", f"{scheme}://10.0.0.7:554/1", f"{scheme}://admin:{SECRET}@10.0.0.7:554/1")
    assert SECRET not in repr(address) + str(address)
    assert address.is_live


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://h/v?user=admin&pwd=hunter2&channel=2", "http://h/v?channel=2&***"),
        ("http://h/v?token=hunter2#frag", "http://h/v?***"),
        ("http://h/v?hunter2", "http://h/v?***"),
        ("http://h/live#hunter2", "http://h/live"),
        ("http://h/v?p%61ssword=hunter2", "http://h/v?***"),
        ("http://h/v?channel=hunter2&channel=2", "http://h/v?channel=2&***"),
        ("rtsp://h/user=admin&password=hunter2&channel=1&stream=0.sdp", "rtsp://h/***?channel=1&stream=0.sdp"),
        ("rtsp://h/user=admin_password=hunter2_channel=1_stream=0.sdp", "rtsp://h/***"),
        ("rtsp://h/passwd/hunter2/", "rtsp://h/***"),
        ("rtsp://h/hunter2/live/1", "rtsp://h/***"),
        ("rtsp://h/live/hunter2/1", "rtsp://h/live/***"),
        ("http://h/live;jwt=hunter2", "http://h/***"),
        ("http://h/hunter2.m3u8?channel=1", "http://h/***?channel=1"),
        ("rtsp://h/1234", "rtsp://h/***"),
        ("rtsp://:hunter2@[::1]:554/x", "rtsp://[::1]:554/x"),
        ("rtsp://a:p%40hunter2@h/x", "rtsp://h/x"),
        ("RTSP://a:hunter2@Host/X", "rtsp://host/X"),
        ("http://h?hunter2", "http://h/?***"),
        *(
            (f"http://h/v?{key}=hunter2&subtype=1", "http://h/v?subtype=1&***")
            for key in ("loginpas", "psw", "pswd", "pas", "jwt", "hash", "s", "k", "auth", "X-Amz-Credential", "口令")
        ),
    ],
)
def test_a_stream_is_named_by_what_cannot_hold_a_secret(address: str, name: str) -> None:
    (told,) = names(address)
    assert told == name


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://10.0.0.7:554/Streaming/Channels/101?profile=Profile_1",
        "rtsp://10.0.0.7/cam/realmonitor?channel=1&subtype=0",
        "rtsp://10.0.0.7/h264Preview_01_main",
        "rtsp://10.0.0.7/live/ch00_0",
        "http://10.0.0.7/axis-cgi/mjpg/video.cgi",
        "http://10.0.0.7/hls/stream1/index.m3u8",
        "rtsp://10.0.0.7/videoMain",
        "rtsp://nvr:8554/front_door",
        "rtsp://10.0.0.7/11",
    ],
)
def test_the_paths_that_cameras_use_are_shown(address: str) -> None:
    assert names(address) == [address]


def test_names_are_unique(tmp_path: Path) -> None:
    files = [tmp_path / "a" / "x.mp4", tmp_path / "b" / "x.mp4", tmp_path / "y.mp4"]
    touch(*files)
    assert names(*files) == ["a/x.mp4", "b/x.mp4", "y.mp4"]
    assert names("rtsp://a:1@h/x", "rtsp://b:2@h/x", "rtsp://h/x") == ["rtsp://h/x", "rtsp://h/x (2)", "rtsp://h/x (3)"]


def test_what_is_named_twice_is_watched_once_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path / "a.mp4")
    with caplog.at_level(logging.WARNING):
        found = names(tmp_path, tmp_path / "a.mp4", "0", "0", f"rtsp://a:{SECRET}@h/x", f"rtsp://a:{SECRET}@h/x")
    assert found == ["a.mp4", "webcam 0", "rtsp://h/x"]
    assert caplog.text.count("named twice") == 3
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "word",
    [
        "file:///etc/passwd",
        "ftp://a:hunter2@h/x",
        "udp://239.0.0.1:1234",
        "subfile,,start,0,end,0,,:file:///etc/passwd",
        "crypto://x",
        "rtsp://",
        "rtsp:///x",
        "rtsp://h:99999/x",
        "rtsp://h:0/x",
        "rtsp://a:hunter2/3@h/x",
        "rtsp://a:1234/hunter2@h/x",
        "rtsp://a:hunter2@h/x y",
        "rtsp://a:hun@ter2hunter2@h/x",
        "rtsp://a:hunter2@h/\x1b[2J",
        "http://[::1/x",
        "",
        "concat:/etc/passwd|/etc/group",
        "pipe:0",
        "data:text/plain,hunter2",
        "admin:hunter2@10.0.0.7/1",
        "-1",
        "12345",
        "nowhere.mp4",
        "\0",
        "x" * 10_000,
    ],
)
def test_anything_else_is_refused_without_showing_a_password(word: str) -> None:
    with pytest.raises(VigilError) as refused:
        find_sources([word])
    message = str(refused.value)
    assert SECRET not in message or word.startswith("data:")
    assert len(message) < 300
    assert message.isprintable()


def test_no_source_at_all_is_an_error() -> None:
    with pytest.raises(UsageError, match="no source"):
        find_sources([])


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no video files"):
        find_sources([str(tmp_path)])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"0\n", "webcam 0"),
        (b"\xef\xbb\xbf# the yard\r\n\r\n  rtsp://a:hunter2@h/x#1   # behind the house\r\n", "rtsp://h/x"),
        ("http://h/live.m3u8".encode("utf-16"), "http://h/live.m3u8"),
        (b"#0\n1 #2", "webcam 1"),
        ("the yard, 后门   rtsp://a:hunter2@h/hunter2?jwt=hunter2  # behind the house".encode(), "the yard, 后门"),
        (b"2  http://h/x", "2"),
    ],
)
def test_a_camera_file_names_one_camera(tmp_path: Path, text: bytes, name: str) -> None:
    path = tmp_path / "camera.txt"
    path.write_bytes(text)
    assert names(path) == [name]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "names no camera"),
        (b"# nothing\n\n", "names no camera"),
        (b"\nthe yard\n", "line 2: 'the yard' is neither"),
        (b"clip.mp4", "line 1: 'clip.mp4' is neither"),
        (b"0\n# x\nrtsp://h/x\n", "line 3: a second camera"),
        (b"\n\nrtsp://admin:hunter2@h:99999/x\n", "line 3: the address 'rtsp://h:99999/x' has an invalid port"),
        (b"admin:hunter2@h/x", "line 1: '...@h/x' is neither"),
        (b"admin:hunter2@h/hunter2/1", "line 1: '...@h/***' is neither"),
        (b"rtsp://admin:1 hunter2@h/x", "line 1: the address 'rtsp://h/x' holds a space"),
        (b"admin:hunter2 rtsp://h/x", "line 1: '...rtsp://h/x' is neither"),
        (b"y" * 100 + b" rtsp://h/x", "line 1: the name before the address is longer than 80"),
        (b"file:///etc/passwd", "line 1: 'file:///etc/passwd' is no address"),
        (b"\xff\xfe\x00", "is no text file"),
        (b"\x80\x81", "is no text file"),
        (b"#" * 70_000, "too long"),
    ],
)
def test_a_camera_file_that_says_anything_else_is_a_clear_error(tmp_path: Path, text: bytes, complaint: str) -> None:
    path = tmp_path / "camera.txt"
    path.write_bytes(text)
    with pytest.raises(UsageError) as refused:
        find_sources([str(path)])
    assert "camera.txt" in str(refused.value)
    assert complaint in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_name_holds_no_character_that_moves_the_cursor(tmp_path: Path) -> None:
    touch(tmp_path / "a\x1b[2J.mp4")
    assert names(tmp_path) == ["a\\x1b[2J.mp4"]


def test_a_long_path_is_shown_with_its_end() -> None:
    told = shorten_for_display(f"/videos/{'deep/' * 100}away.mp4")
    assert told.startswith("'/videos/") and told.endswith("away.mp4'")
    assert len(told) < 180
