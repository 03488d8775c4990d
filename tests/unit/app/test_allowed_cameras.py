import pytest
from app.allowed_cameras import AllowedCameras
from app.web.context import SiteOptions

from vigil.errors import UsageError
from vigil.sources.address import find_sources

CONFIGURED = find_sources(["rtsp://admin:secret@10.0.0.7/1", "0"])
ALLOWED = AllowedCameras.of(CONFIGURED, ["cam.example:80", "10.0.0.9:8554", "[::1]:554", "3"])


@pytest.mark.parametrize(
    "word",
    [
        "rtsp://10.0.0.7/2",
        "rtsp://10.0.0.7:554/",
        "0",
        "3",
        "http://cam.example/x",
        "http://CAM.example:80/x",
        "rtsp://10.0.0.9:8554/a",
        "rtsp://[0:0::1]/a",
    ],
)
def test_cameras_of_the_configuration_and_named_ones_are_let_in_and_may_lead_nowhere_else(word: str) -> None:
    camera = ALLOWED.admit(find_sources([word])[0])
    assert camera.confined == (camera.kind == "stream")


@pytest.mark.parametrize(
    "word",
    [
        "rtsp://10.0.0.7:80/",
        "http://10.0.0.7/",
        "http://cam.example:81/x",
        "rtsp://cam.example/1",
        "1",
        "rtsp://10.0.0.9/a",
        "rtsp://10.0.0.7@evil.example/",
        "http://127.0.0.1:8000/",
        "rtsp://[::ffff:127.0.0.1]/",
    ],
)
def test_every_other_camera_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="--allow-camera"):
        ALLOWED.admit(find_sources([word])[0])


def test_the_operator_can_open_every_camera() -> None:
    camera = AllowedCameras.of((), every=True).admit(find_sources(["rtsp://10.1.1.1/"])[0])
    assert not camera.confined


@pytest.mark.parametrize("host", ["10.0.0.7", "cam.example", "[::1]", "localhost", "10.0.0.7:"])
def test_a_host_without_a_port_would_open_all_its_ports_and_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=f"--allow-camera .*{'554' if host[-1] != ':' else 'port'}"):
        AllowedCameras.of((), [host])


@pytest.mark.parametrize("word", ["", "::1:554", "a@b:80", "h:0", "h:99999", "rtsp://h:554/x", "0x7f.1:80", "h/x:80"])
def test_other_words_are_refused_before_anything_is_opened(word: str) -> None:
    with pytest.raises(UsageError, match="--allow-camera"):
        SiteOptions(allow_cameras=(word,))
