"""Clips with ranges, snapshots and frames, and nothing else of the disk, on a service that runs."""

import http.client
from urllib.parse import urlsplit

import httpx
import pytest

from api_service import EVENT, Service, picture

CLIP = f"/events/{EVENT}/clip"


def test_a_clip_is_had_whole_and_in_ranges(asking: httpx.Client) -> None:
    whole = asking.get(CLIP)
    assert whole.headers["content-type"] == "video/mp4" and whole.headers["accept-ranges"] == "bytes"
    size = len(whole.content)
    part = asking.get(CLIP, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == whole.content[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{size}"
    assert asking.get(CLIP, headers={"Range": "bytes=-5"}).content == whole.content[-5:]
    assert asking.head(CLIP).headers["content-length"] == str(size)
    assert asking.get(CLIP, params={"form": "playable"}).content == whole.content


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("bytes=999999999-", 416),
        ("bytes=-0", 416),
        ("bytes=20-10", 200),
        ("bytes=a-b", 200),
        ("lines=1-2", 200),
        ("bytes=", 200),
        ("bytes=" + ",".join(["0-"] * 500), 200),
        ("bytes=99999999999999999999999999999999-", 200),
        ("bytes=0-0,2-2", 206),
    ],
)
def test_a_range_that_makes_no_sense_does_no_harm(asking: httpx.Client, header: str, status: int) -> None:
    answer = asking.get(CLIP, headers={"Range": header})
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["content-range"].startswith("bytes */")


def test_the_pictures_of_an_event(asking: httpx.Client) -> None:
    assert asking.get(f"/events/{EVENT}/snapshot").content == picture()
    frames = asking.get(f"/events/{EVENT}/frames").json()["frames"]
    assert [(each["window"], each["number"], each["p_alarm"]) for each in frames] == [(1, 0, 0.97), (1, 1, 0.97)]
    assert asking.get(f"/events/{EVENT}/frames/1/0").content == picture()
    for missing in (f"/events/{EVENT}/frames/1/9", f"/events/{EVENT}/frames/2/0", "/events/e0002/clip"):
        assert asking.get(missing).json()["type"].endswith(":not-found")


@pytest.mark.parametrize(
    "path",
    [
        "/events/../events.db",
        "/events/..%2f..%2fevents.db/clip",
        f"/events/{EVENT}/frames/..%2f..%2f/0",
        f"/events/{EVENT}/frames/1/0.jpg",
        f"/events/{EVENT}/frames/1/%2e%2e%2f0",
        f"/events/{EVENT}%00/clip",
        f"/events/{EVENT}/clip/",
        "//events",
        "/events/%c3%28/clip",
        "/cameras/..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out_of_the_store(service: Service, path: str) -> None:
    place = urlsplit(service.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port)
    connection.request("GET", f"{place.path}{path}")
    answer = connection.getresponse()
    assert answer.status in (404, 422) and b"SQLite" not in answer.read()
    connection.close()
