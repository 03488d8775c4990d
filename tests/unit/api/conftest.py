"""Two services for the tests of the service: one that is open to this machine, and one with users and keys."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import http_camera
from api_service import PASSWORD, Service, filled_store, service_at, vigil
from scripted_server import ScriptedServer
from waiting import until
from watching import bright_server, film


@pytest.fixture(scope="session")
def endpoint() -> Iterator[ScriptedServer]:
    """A server that finds bright pictures alarming."""
    with bright_server() as running:
        yield running


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[http_camera.HttpCamera]:
    """A network camera of this machine."""
    with http_camera.serving(film(tmp_path_factory.mktemp("film") / "a.mp4", seconds=8)) as running:
        yield running


@pytest.fixture(scope="session")
def service(
    endpoint: ScriptedServer, camera: http_camera.HttpCamera, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service without users, which may open the camera, and watches nothing yet."""
    folder = tmp_path_factory.mktemp("service")
    store = filled_store(folder / "store" / "events.db")
    allowed = f"127.0.0.1:{camera.server_address[1]}"
    with service_at(endpoint.url, "--allow-camera", allowed, folder=folder, store=store) as running:
        with running.client() as asking:
            until(lambda: asking.get("/ready").status_code == 200)
        yield running


@pytest.fixture
def asking(service: Service) -> Iterator[httpx.Client]:
    """One who asks the open service."""
    with service.client() as client:
        yield client


@pytest.fixture(scope="session")
def guarded(endpoint: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the users ada (admin), otto (operator) and vera (viewer), made by the command line."""
    folder = tmp_path_factory.mktemp("guarded")
    store = filled_store(folder / "store" / "events.db")
    _add_users(store)
    with service_at(endpoint.url, folder=folder, store=store) as running:
        yield running


def _add_users(store: Path) -> None:
    for name, role in (("ada", "admin"), ("otto", "operator"), ("vera", "viewer")):
        words = ("users", "add", name, "--role", role, "--password-file", "-", "--store", str(store))
        assert vigil(*words, said=f"{PASSWORD}\n").returncode == 0
