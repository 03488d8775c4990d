"""HLS as servers send it: pieces and playlists of any name, and what a playlist must never reach."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import odd_camera
from films import number_in, shoot
from http_camera import cut_pieces
from live_seeing import following
from odd_camera import Answer, Asked, told
from vigil.errors import SourceError
from vigil.frames import Frame, FrameSampling
from vigil.sources.address import find_sources
from vigil.sources.network import NetworkCamera
from vigil.sources.open_capture import CaptureSettings, Disconnected

UNHURRIED = CaptureSettings(
    open_timeout_s=10.0, read_timeout_s=10.0, hls_timeout_s=10.0, retry_min_s=0.05, retry_max_s=0.1
)
HASTY = replace(UNHURRIED, open_timeout_s=1.0, hls_timeout_s=1.0)
PLAYLIST = "application/vnd.apple.mpegurl"
HEAD = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Four seconds of H.264 as MPEG-TS, a second each."""
    film = tmp_path_factory.mktemp("films") / "yard.mp4"
    shoot(film, frames=100, options={"g": "25", "bf": "0", "preset": "ultrafast"})
    with TemporaryDirectory() as folder:
        return cut_pieces(film, Path(folder))


def camera(
    pieces: list[bytes], *, named: str, kind: str = "video/mp2t", playlist: str = "live.m3u8", of_kind: str = PLAYLIST
) -> dict[str, Answer]:
    """A playlist of pieces that go by the name `named`, with their number in the place of `%d`."""
    names = [named.replace("%d", str(number)) for number in range(len(pieces))]
    listed = HEAD + "".join(f"#EXTINF:1.0,\n{name}\n" for name in names)

    def answer(asked: Asked) -> None:
        asked_for = asked.path.lstrip("/")
        told(pieces[names.index(asked_for)], kind)(asked)

    return {f"/{playlist}": told(listed.encode(), of_kind)} | {f"/{name.partition('?')[0]}": answer for name in names}


NAMES = [
    "piece%d",
    "piece%d.jpg",
    "piece%d.png",
    "get.php?n=%d",
    "piece%d.m4v",
    "piece%d.m4s",
    "piece%d.html",
    "piece%d.mp4",
    "piece.ts.%d",
    "media/%d/video",
]


@pytest.mark.parametrize("confined", [False, True])
@pytest.mark.parametrize("named", NAMES)
def test_pieces_are_played_whatever_their_names_end_in(pieces: list[bytes], named: str, confined: bool) -> None:
    with odd_camera.serving(camera(pieces, named=named)) as served:
        frames = read(served.address("live.m3u8"), confined=confined)
    assert [number_in(frame.image) for frame in frames] == pytest.approx([75, 82, 88], abs=1)


def read(word: str, *, confined: bool, settings: CaptureSettings = UNHURRIED) -> list[Frame]:
    """The first three frames of a camera; raises SourceError when they do not come."""
    address = replace(find_sources([word])[0], confined=confined)
    watched = NetworkCamera(address, FrameSampling(fps=4), stop=threading.Event(), settings=settings)
    seen: list[Frame] = []
    for signal in watched.session(started_s=0.0):
        seen += [signal] if isinstance(signal, Frame) else []
        if len(seen) == 3:
            break
    return seen


@pytest.mark.parametrize("confined", [False, True])
@pytest.mark.parametrize(
    ("playlist", "kind"),
    [("live", "text/plain"), ("live.php", "text/html"), ("live", PLAYLIST), ("live.m3u8", "text/plain"), ("live", "")],
)
def test_a_playlist_is_known_by_what_it_says(pieces: list[bytes], playlist: str, kind: str, confined: bool) -> None:
    answers = camera(pieces, named="piece%d.jpg", kind="image/jpeg", playlist=playlist, of_kind=kind)
    with odd_camera.serving(answers) as served:
        assert len(read(served.address(playlist), confined=confined)) == 3


SECRETS: dict[str, Callable[[str], str]] = {
    "a piece": lambda film: f"#EXTINF:1,\nfile://{film}\n",
    "a piece in another spelling": lambda film: f"#EXTINF:1,\nFILE:{film}\n",
    "a range of a file": lambda film: f"#EXTINF:1,\nsubfile,,start,0,end,99999,,:{film}\n",
    "files in a row": lambda film: f"#EXTINF:1,\nconcat:{film}|{film}\n",
    "a file as if encrypted": lambda film: f"#EXTINF:1,\ncrypto+file://{film}\n",
    "another protocol": lambda film: f"#EXTINF:1,\nftp://127.0.0.1{film}\n",
    "a pipe": lambda film: "#EXTINF:1,\npipe:0\n",
    "a head": lambda film: f'#EXT-X-MAP:URI="file://{film}"\n#EXTINF:1,\nnone.ts\n',
    "a key": lambda film: f'#EXT-X-KEY:METHOD=AES-128,URI="file://{film}"\n#EXTINF:1,\nnone.ts\n',
    "a playlist in a playlist": lambda film: f"#EXT-X-STREAM-INF:BANDWIDTH=1\nfile://{film}.m3u8\n",
}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("ending", ["", ".ts"])
def test_no_playlist_reaches_a_file_of_this_machine(
    pieces: list[bytes], tmp_path: Path, name: str, ending: str
) -> None:
    film = tmp_path / f"private{ending}"
    film.write_bytes(b"".join(pieces))
    (tmp_path / f"private{ending}.m3u8").write_text(f"{HEAD}#EXTINF:1,\n{film}\n")
    body = (HEAD + SECRETS[name](str(film))).encode()
    with (
        odd_camera.serving({"/live.m3u8": told(body, PLAYLIST)}) as served,
        following(served.address("live.m3u8"), settings=HASTY) as seen,
    ):
        seen.wait(Disconnected)
    assert not seen.frames


def test_a_page_that_is_no_playlist_says_that_there_is_no_video() -> None:
    with odd_camera.serving({"/live": told(b"<html>It works!</html>", "text/html")}) as served:
        with pytest.raises(SourceError, match="no video that can be read"):
            read(served.address("live"), confined=False)
        with pytest.raises(SourceError, match="no video that can be read"):
            read(served.address("live"), confined=True)
