"""`POST /judge`: a clip, frames and a picture, and what is none of them, on a service that runs."""

import http.client
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from api_service import Service, picture
from waiting import HANG_S
from watching import film


def send(asking: httpx.Client, *files: bytes, **form: str) -> httpx.Response:
    return asking.post("/judge", files=[("file", ("x", each)) for each in files], data=form)


def test_a_bright_picture_is_an_alarm_and_a_dark_one_is_not(asking: httpx.Client) -> None:
    told = send(asking, picture(220)).json()
    assert told["kind"] == "picture" and told["verdict"]["outcome"] == "alarm", told
    assert set(told["verdict"]["probabilities"]) == {"alarm", "normal"} and told["verdict"]["p_alarm"] > 0.9
    assert send(asking, picture(10)).json()["verdict"]["outcome"] == "normal"


def test_frames_are_one_window_and_can_be_described(asking: httpx.Client) -> None:
    told = send(asking, *(picture(220) for _ in range(4)), words="true").json()
    assert told["kind"] == "frames" and len(told["windows"]) == 1 and "push" in told["verdict"]["text"]


def test_a_clip_is_judged_window_by_window(asking: httpx.Client, tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mp4", seconds=8, bright=[(4, 8)]).read_bytes()
    told = send(asking, clip).json()
    assert told["kind"] == "clip" and told["is_complete"] and len(told["windows"]) > 1
    assert {each["outcome"] for each in told["windows"]} == {"alarm", "normal"}
    assert told["verdict"]["outcome"] == "alarm"


@pytest.mark.parametrize(
    ("files", "form", "status"),
    [
        ([b"rtsp://127.0.0.1:9/x"], {}, 415),
        ([b""], {}, 415),
        ([b"\xff\xd8\xff" + b"x" * 100], {}, 415),
        ([b"GIF89a" + bytes(range(200))], {}, 415),
        ([], {}, 422),
        ([picture()] * 33, {}, 400),
        ([picture()], {"question": "nonsense"}, 400),
        ([picture()], {"words": "perhaps"}, 422),
    ],
)
def test_what_cannot_be_judged_is_a_problem(
    asking: httpx.Client, files: list[bytes], form: dict[str, str], status: int
) -> None:
    answer = send(asking, *files, **form)
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    assert "uploads" not in answer.text


@pytest.mark.parametrize(("path", "size"), [("/judge", 10**12), ("/events/e0002/marks", 10**7)])
def test_a_huge_body_is_refused_before_it_is_read(service: Service, path: str, size: int) -> None:
    place = urlsplit(service.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=HANG_S)
    connection.putrequest("POST", f"{place.path}{path}")
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413 and answer.headers["content-type"] == "application/problem+json"
    connection.close()


def test_nothing_of_what_was_sent_stays(service: Service, asking: httpx.Client) -> None:
    send(asking, picture(220))
    assert not list((service.site.log.parent / "uploads").rglob("*.bin"))
