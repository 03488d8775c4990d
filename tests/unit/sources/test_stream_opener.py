"""Cameras behind TLS: their certificates are checked, or it is said that they are not. Real servers throughout."""

import logging
import ssl
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import odd_camera
import rtsp_server
from films import shoot
from http_camera import cut_pieces
from live_seeing import UNHURRIED, following
from odd_camera import Answer, told
from odd_mjpeg import USUAL, sending
from vigil.errors import UsageError
from vigil.frames import Frame
from vigil.sources.open_capture import CaptureSettings, Disconnected


@dataclass(frozen=True)
class Certificates:
    """`own`: a certificate and key for 127.0.0.1; `other`: one for another host; `authority` vouches for both."""

    authority: Path
    own: Path
    other: Path
    strange: Path

    def serving(self, path: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = _signed(folder, "authority", "basicConstraints=critical,CA:TRUE")
    own = _signed(folder, "own", "subjectAltName=IP:127.0.0.1", by=authority)
    other = _signed(folder, "other", "subjectAltName=DNS:elsewhere.example", by=authority)
    strange = _signed(folder, "strange", "subjectAltName=IP:127.0.0.1")
    return Certificates(authority, own, other, strange)


def _signed(folder: Path, name: str, extension: str, *, by: Path | None = None) -> Path:
    """A certificate and its key in one file, signed by itself or by another."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", f"/CN={name}", "-addext", extension, "-keyout", str(key), "-out", str(certificate)]
    words += ["-CA", str(by), "-CAkey", str(by)] if by else []
    subprocess.run(words, check=True, capture_output=True)
    both = folder / f"{name}.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


def settings(ca_file: Path | None = None) -> CaptureSettings:
    return replace(UNHURRIED, ca_file=str(ca_file or ""))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "yard.mp4"
    shoot(path, frames=250, options={"g": "25", "bf": "0", "preset": "ultrafast"})
    return path


@pytest.fixture(scope="module")
def pieces(film: Path) -> list[bytes]:
    return cut_pieces(film, film.parent)


def answers(pieces: list[bytes], *, elsewhere: str = "") -> dict[str, Answer]:
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"
    listed = "".join(f"#EXTINF:1.0,\n{elsewhere}piece{number}.ts\n" for number in range(len(pieces)))
    playlist = told(f"{head}{listed}".encode(), "application/vnd.apple.mpegurl")
    served = {f"/piece{number}.ts": told(piece, "video/mp2t") for number, piece in enumerate(pieces)}
    return {"/live.m3u8": playlist, "/live.mjpg": sending(USUAL), **served}


@pytest.mark.parametrize("path", ["live.mjpg", "live.m3u8"])
def test_a_certificate_that_is_not_checked_is_said_so_once_and_the_camera_is_watched(
    certificates: Certificates, pieces: list[bytes], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        odd_camera.serving(answers(pieces), tls=certificates.serving(certificates.strange)) as served,
        following(served.address(path), settings=settings()) as seen,
    ):
        seen.wait(Frame)
        assert any("certificate is not checked" in problem for problem in seen.feed.problems)
    assert caplog.text.count("certificate is not checked") == 1


@pytest.mark.parametrize("path", ["live.mjpg", "live.m3u8"])
@pytest.mark.parametrize(("kept", "is_watched"), [("own", True), ("other", False), ("strange", False)])
def test_a_certificate_is_checked_by_those_that_count(
    certificates: Certificates, pieces: list[bytes], path: str, kept: str, is_watched: bool
) -> None:
    tls = certificates.serving(getattr(certificates, kept))
    with (
        odd_camera.serving(answers(pieces), tls=tls) as served,
        following(served.address(path), settings=settings(certificates.authority)) as seen,
    ):
        seen.wait(Frame if is_watched else Disconnected)
        assert not seen.feed.problems or not is_watched
    assert bool(seen.frames) is is_watched
    assert is_watched or "certificate" in seen.reasons[0]


def test_pieces_of_a_checked_playlist_come_from_no_unchecked_server(
    certificates: Certificates, pieces: list[bytes]
) -> None:
    # FFmpeg goes on asking for pieces that it may not have, so the end of these limits is waited for.
    soon = replace(settings(certificates.authority), open_timeout_s=5.0, read_timeout_s=5.0, hls_timeout_s=5.0)
    with odd_camera.serving(answers(pieces), tls=certificates.serving(certificates.strange)) as strange:
        leading = answers(pieces, elsewhere=strange.address(""))
        with (
            odd_camera.serving(leading, tls=certificates.serving(certificates.own)) as served,
            following(served.address("live.m3u8"), settings=soon) as seen,
        ):
            seen.wait(Disconnected)
        assert not seen.frames and not strange.requests


@pytest.mark.parametrize(
    ("kept", "checked", "is_watched"),
    [("own", True, True), ("other", True, False), ("strange", True, False), ("strange", False, True)],
)
def test_an_rtsps_camera_is_checked_alike(
    certificates: Certificates, film: Path, kept: str, checked: bool, is_watched: bool
) -> None:
    told_settings = settings(certificates.authority if checked else None)
    with (
        rtsp_server.running(film, options=["--tls", str(getattr(certificates, kept))]) as camera,
        following(camera.address().replace("rtsp:", "rtsps:"), settings=told_settings) as seen,
    ):
        seen.wait(Frame if is_watched else Disconnected)
        assert any("certificate is not checked" in problem for problem in seen.feed.problems) is not checked
    assert bool(seen.frames) is is_watched
    assert is_watched or "certificate" in seen.reasons[0]


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_without_certificates_is_refused_by_its_name(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=r"ca_file cannot be read as certificates.*ca\.pem"):
        settings(path)
