import pytest
from app.web.allowed import AllowedCameras

from vigil.errors import UsageError
from vigil.sources.address import find_sources

CONFIGURED = find_sources(["rtsp://admin:secret@10.0.0.7/1", "0"])
ALLOWED = AllowedCameras.of(CONFIGURED, ["cam.example", "10.0.0.9:8554"])


@pytest.mark.parametrize(
    "word",
    [
        "rtsp://10.0.0.7/2",
        "rtsp://10.0.0.7:554/",
        "0",
        "http://cam.example:81/x",
        "rtsp://CAM.example/1",
        "rtsp://10.0.0.9:8554/a",
    ],
)
def test_cameras_of_the_configuration_and_named_hosts_are_let_in(word: str) -> None:
    ALLOWED.check(find_sources([word])[0])


@pytest.mark.parametrize(
    "word",
    [
        "rtsp://10.0.0.7:80/",
        "http://10.0.0.7/",
        "1",
        "rtsp://10.0.0.9/a",
        "rtsp://10.0.0.7@evil.example/",
        "http://127.0.0.1:8000/",
    ],
)
def test_every_other_camera_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="--allow-camera"):
        ALLOWED.check(find_sources([word])[0])


def test_the_operator_can_open_every_camera() -> None:
    AllowedCameras.of((), every=True).check(find_sources(["rtsp://10.1.1.1/"])[0])
