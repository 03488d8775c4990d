"""How a stream ends: a film behind http is over, a camera that breaks off is asked again."""

from dataclasses import replace
from pathlib import Path

import pytest

import odd_camera
from films import number_in, shoot
from http_camera import cut_pieces
from live_seeing import following
from odd_camera import Answer, Asked, told
from odd_mjpeg import photo
from vigil.frames import Frame, FrameSampling
from vigil.sources.open_capture import CaptureSettings, Connected, Disconnected

UNHURRIED = CaptureSettings(
    open_timeout_s=10.0, read_timeout_s=10.0, hls_timeout_s=10.0, retry_min_s=0.05, retry_max_s=0.1
)
OPTIONS = {"g": "25", "bf": "0", "preset": "ultrafast"}
HEAD = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"
FILMS = {
    "mp4": {"format": "mp4", "container_options": {"movflags": "faststart"}},
    "a fragmented mp4": {"format": "mp4", "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "mkv": {"format": "matroska"},
    "ts": {"format": "mpegts"},
    "avi": {"format": "avi"},
    "flv": {"format": "flv"},
}


@pytest.mark.parametrize("confined", [False, True])
@pytest.mark.parametrize("name", FILMS)
def test_a_film_behind_http_is_seen_once_and_then_it_is_over(tmp_path: Path, name: str, confined: bool) -> None:
    film = tmp_path / "film"
    shoot(film, frames=50, options=OPTIONS, **FILMS[name])  # type: ignore[arg-type]
    answer = told(film.read_bytes(), "application/octet-stream")
    with odd_camera.serving({"/film": answer}) as served:
        address = served.address("film")
        with following(address, settings=UNHURRIED, sampling=FrameSampling(fps=5), confined=confined) as seen:
            seen.until_ended(within_s=60)
    assert seen.ended_s is not None and not seen.reasons
    assert [number_in(frame.image) for frame in seen.frames] == pytest.approx(range(0, 50, 5), abs=1)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Three seconds of H.264 as MPEG-TS, a second each."""
    folder = tmp_path_factory.mktemp("films")
    shoot(folder / "yard.mp4", frames=75, options=OPTIONS)
    return cut_pieces(folder / "yard.mp4", folder)


def playlist(first: int, last: int, *, finished: bool = False) -> Answer:
    listed = "".join(f"#EXTINF:1.0,\npiece{number}.ts\n" for number in range(first, last))
    end = "#EXT-X-ENDLIST\n" if finished else ""
    head = HEAD.replace("SEQUENCE:0", f"SEQUENCE:{first}")
    return told(f"{head}{listed}{end}".encode(), "application/vnd.apple.mpegurl")


def served_pieces(pieces: list[bytes]) -> dict[str, Answer]:
    return {f"/piece{number}.ts": told(piece, "video/mp2t") for number, piece in enumerate(pieces)}


def test_a_finished_playlist_is_seen_once_and_then_it_is_over(pieces: list[bytes]) -> None:
    answers = {"/film.m3u8": playlist(0, 3, finished=True), **served_pieces(pieces)}
    with (
        odd_camera.serving(answers) as served,
        following(served.address("film.m3u8"), settings=UNHURRIED, sampling=FrameSampling(fps=5)) as seen,
    ):
        seen.until_ended(within_s=60)
    assert seen.ended_s is not None and not seen.reasons
    assert [number_in(frame.image) for frame in seen.frames] == pytest.approx(range(0, 75, 5), abs=1)


def test_a_live_playlist_that_is_finished_is_not_seen_anew_from_its_start_but_waited_for(pieces: list[bytes]) -> None:
    quick = replace(UNHURRIED, hls_timeout_s=5.0)
    with (
        odd_camera.serving({"/live.m3u8": playlist(0, 2), **served_pieces(pieces)}) as served,
        following(served.address("live.m3u8"), settings=quick, sampling=FrameSampling(fps=5)) as seen,
    ):
        seen.wait(Frame)
        served.answers["/live.m3u8"] = playlist(0, 2, finished=True)
        seen.wait_for_reason("its playlist is finished, and what it holds was seen", within_s=60)
        so_far = len(seen.frames)
        served.answers["/live.m3u8"] = playlist(1, 3)
        seen.wait(Connected, number=2)
        seen.wait(Frame, number=so_far + 2)
        assert seen.ended_s is None
    shown = [number_in(frame.image) for frame in seen.frames]
    assert min(shown[:so_far]) >= 25 and min(shown[so_far:]) >= 49


def test_a_camera_whose_answer_breaks_off_is_asked_again() -> None:
    def answer(asked: Asked) -> None:
        asked.say("multipart/x-mixed-replace; boundary=next")
        for number in range(5):
            jpeg = photo(number, thumbnail=False)
            asked.wfile.write(b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg) + jpeg)

    with (
        odd_camera.serving({"/live": answer}) as served,
        following(served.address("live"), settings=UNHURRIED) as seen,
    ):
        seen.wait(Disconnected, number=2)
        assert seen.ended_s is None
