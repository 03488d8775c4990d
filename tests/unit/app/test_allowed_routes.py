"""The inventory of everything that is mounted, and which of it the gate lets through.

`mounted_routes.txt` holds a line for each: whether it is open, the method, the route. A new version of Gradio that adds
one fails here, and somebody decides.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from app.allowed_routes import OPEN_TO_READ, OPEN_TO_SEND, START_PAGES, RouteList, is_open, is_start_page, methods_of

TESTS = Path(__file__).resolve().parents[2]
INVENTORY = Path(__file__).with_name("mounted_routes.txt")
EXAMPLES = {
    "window": "1",
    "number": "1",
    "format": "json",
    "path": "a/b.js",
    "path_or_url": "/x.png",
    "url_path": "http://evil.example/x",
    "language": "en",
}


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Method and path of all that is mounted, from a process of its own: Gradio leaves loops and sockets open."""
    command = [sys.executable, str(TESTS / "mounted_routes.py"), str(tmp_path_factory.mktemp("site"))]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TESTS.parent, TESTS.parent / "src", TESTS)))}
    told = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in told.splitlines()]


@pytest.fixture(scope="module")
def found(mounted: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same, each route of Gradio's once for both languages."""
    named = {(method, re.sub(r"^/(en|zh)(/|$)", r"/{language}\2", path)) for method, path in mounted}
    return sorted(named, key=lambda route: route[::-1])


def example(path: str) -> str:
    """An address that a route answers."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda name: EXAMPLES.get(name[1], "x1"), path)


def test_every_mounted_route_stands_in_the_inventory_with_what_the_gate_does(found: list[tuple[str, str]]) -> None:
    lines = [f"{'open' if is_open(method, example(path)) else 'shut'} {method} {path}" for method, path in found]
    assert lines == INVENTORY.read_text(encoding="utf-8").splitlines()


def test_both_languages_mount_the_same(mounted: list[tuple[str, str]]) -> None:
    paths = {path for _, path in mounted}
    english = {path.removeprefix("/en") for path in paths if path.startswith("/en/")}
    assert english == {path.removeprefix("/zh") for path in paths if path.startswith("/zh/")}


def test_every_open_route_is_mounted_or_answered_by_the_gate(found: list[tuple[str, str]]) -> None:
    methods = {"POST": OPEN_TO_SEND, "GET": OPEN_TO_READ}
    for method, routes in methods.items():
        for route in routes:
            patterns = [re.sub(r"\{[^}]*\}", "[^/]+(/.*)?", path) for told, path in found if told == method]
            address = example(route.replace("{asset}", "a.js").replace("={path}", "=/x.png"))
            is_there = any(re.fullmatch(pattern.replace("?/", "?/?"), address) for pattern in patterns)
            assert is_there or route in {"/sign-in", "/sign-out", "/{language}"}, route


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/en", "/zh/", "/sign-in"])
def test_start_pages_can_be_linked_to(method: str, path: str) -> None:
    assert is_start_page(method, path) and is_open(method, path)
    assert not is_start_page("POST", path)


@pytest.mark.parametrize(
    "path",
    [
        "/en/assets/../../etc/passwd",
        "/en/assets/.env",
        "/en/assets/a//b.js",
        "/en/static/%2e%2e/x",
        "/en/gradio_api/heartbeat/a/b",
        "/en/gradio_api/file=x",
        "/en/gradio_api/file=",
        "/en/\n",
        "/en/gradio_api/queue/data\n",
        "/api/v1/cameras/\ndoor",
        "/api/v1/events/a\x7f",
        "/EN/",
        "//en/",
        "",
    ],
)
def test_what_only_looks_like_an_open_route_is_shut(path: str) -> None:
    assert not is_open("GET", path)


def test_the_routes_of_the_service_are_open_with_their_methods_only() -> None:
    assert is_open("GET", "/api/v1/events/x1/clip") and is_open("HEAD", "/api/v1/events/x1/clip")
    assert is_open("PATCH", "/api/v1/cameras/front door") and not is_open("PUT", "/api/v1/cameras/door")
    assert not is_open("POST", "/api/v1/events") and not is_open("HEAD", "/api/v1/live")
    assert methods_of("/api/v1/cameras/door") == ["GET", "PATCH", "DELETE"] and methods_of("/api/v1/x") == []
    for path in ("/api/v1", "/api/v1/", "/api/v1/events/", "/api/v1/events/../x", "/api/v2/events", "/api/v1/events\n"):
        assert not is_open("GET", path)


def test_a_list_of_routes_matches_whole_paths() -> None:
    assert "/en/x" not in RouteList.of(START_PAGES)
    assert "x/" not in RouteList.of(START_PAGES)
