"""The addresses of all of the site below the path of a proxy, as a program sees them: real pages in a process."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import httpx
import pytest

from browsing import Site, site_at
from waiting import HANG_S

pytestmark = pytest.mark.e2e
HOST = "https://cameras.example:8443"
HEADERS = {
    "user-agent": "Mozilla/5.0",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "x-forwarded-for": "10.0.0.9",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "cameras.example:8443",
}
NOWHERE = "http://127.0.0.1:9/v1"


@dataclass
class Visit:
    """Asks as a browser does whose requests come through a proxy with TLS; cookies are kept."""

    site: Site
    cookies: dict[str, Any] = field(default_factory=dict)

    def ask(
        self, place: str, method: str = "GET", *, form: dict[str, str] | None = None, **more: str
    ) -> httpx.Response:
        sent = "; ".join(f"{name}={each.value}" for name, each in self.cookies.items())
        headers = {**HEADERS, **more, **({"cookie": sent} if sent else {})}
        address = self.site.url.rstrip("/") + place
        answer = httpx.request(method, address, headers=headers, data=form, timeout=HANG_S)
        for told in answer.headers.get_list("set-cookie"):
            self.cookies |= SimpleCookie(told)
        return answer

    def goes_to(self, place: str, method: str = "GET", **more: str) -> str:
        """Where a request is led on to."""
        return self.ask(place, method, **more).headers["location"]


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages below a path."""
    with pages(tmp_path_factory.mktemp("below"), "--root-path", "/vigil") as running:
        yield running


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages without one."""
    with pages(tmp_path_factory.mktemp("whole")) as running:
        yield running


def pages(folder: Path, *words: str) -> Any:
    env = {"VIGIL_WEB_AUTH": "ada:correct horse"}
    return site_at(NOWHERE, "--trusted-proxy", "127.0.0.1", *words, folder=folder, env=env)


def signed_in(site: Site, path: str) -> tuple[Visit, httpx.Response]:
    visit = Visit(site)
    form = {"name": "ada", "password": "correct horse", "next": "/zh/?event=e1"}
    return visit, visit.ask(f"{path}/sign-in", "POST", form=form)


def page_root(text: str) -> str:
    found = re.search(r'"root": ?"([^"]*)"', text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("prefix", ["", "/vigil"], ids=["taken off", "left"])
def test_everything_leads_below_the_path_whichever_way_the_proxy_asks(below: Site, prefix: str) -> None:
    visit = Visit(below)
    assert visit.goes_to(f"{prefix}/") == "/vigil/sign-in?next=/"
    assert visit.goes_to(f"{prefix}/en") == "/vigil/sign-in?next=/en"
    assert visit.goes_to(f"{prefix}/sign-out", "POST") == "/vigil/sign-in"
    signing = visit.ask(f"{prefix}/sign-in").text
    assert re.findall(r'(?:action|href|src)="([^"]*)"', signing) == ["data:,", "/vigil/sign-in"]
    told = visit.ask(f"{prefix}/en/gradio_api/app_id")
    assert (told.status_code, told.text) == (401, "a name and a password are needed: /vigil/sign-in\n")


@pytest.mark.parametrize("prefix", ["", "/vigil"], ids=["taken off", "left"])
def test_who_has_signed_in_stays_below_the_path(below: Site, prefix: str) -> None:
    visit, came = signed_in(below, prefix)
    assert (came.status_code, came.headers["location"]) == (303, "/vigil/zh/?event=e1")
    assert visit.goes_to(f"{prefix}/") == "/vigil/en/"
    assert visit.goes_to(f"{prefix}/en?event=e1") == "/vigil/en/?event=e1"
    assert visit.goes_to(f"{prefix}/language/zh") == visit.goes_to(f"{prefix}/") == "/vigil/zh/"


def test_the_path_without_its_slash_is_the_start_page(below: Site) -> None:
    assert signed_in(below, "/vigil")[0].goes_to("/vigil") == "/vigil/en/"


def test_cookies_go_below_the_path_alone_and_have_names_of_their_own(below: Site, whole: Site) -> None:
    def cookies(site: Site, path: str) -> list[tuple[str, str, bool]]:
        visit, _ = signed_in(site, path)
        visit.ask(f"{path}/language/zh")
        port = site.url.split(":")[-1].rstrip("/")
        found = visit.cookies.items()
        return sorted((name.replace(port, "PORT"), each["path"], bool(each["secure"])) for name, each in found)

    named = [("vigil_language_vigil", "/vigil", False), ("vigil_session_PORT_vigil", "/vigil", True)]
    assert cookies(below, "/vigil") == cookies(below, "") == named
    assert cookies(whole, "") == [("vigil_language", "/", False), ("vigil_session_PORT", "/", True)]


@pytest.mark.parametrize(
    ("name", "asked", "path"), [("below", "/vigil", "/vigil"), ("below", "", "/vigil"), ("whole", "", "")]
)
def test_a_page_names_addresses_of_its_own_alone_at_the_proxys_host(
    name: str, asked: str, path: str, request: pytest.FixtureRequest
) -> None:
    visit, _ = signed_in(request.getfixturevalue(name), asked)
    page = visit.ask(f"{asked}/en/")
    assert page.status_code == 200
    assert page_root(page.text) == f"{HOST}{path}/en"
    named = re.findall(r'<(?:link|script|a|form|img)[^>]* (?:href|src|action)="([^"]+)"', page.text)
    assert len(named) > 2
    places = [urljoin(f"{HOST}{path}/en/", word) for word in named]
    assert [each for each in places if not each.startswith((f"{HOST}{path}/", "data:"))] == []
    assert "manifest.json" not in page.text


@pytest.mark.parametrize("place", ["/vigilant/en/", "/other", "/vigil/vigil/en/", "/vigil/config", "/vigil//en/"])
def test_what_is_not_there_is_told_with_where_the_pages_are(below: Site, place: str) -> None:
    answer = Visit(below).ask(place)
    assert (answer.status_code, answer.text) == (404, "there is nothing here; these pages are below /vigil/\n")


@pytest.mark.parametrize("place", ["/vigil", "/vigil/", "/vigil/en/", "/vigil/sign-in"])
def test_without_a_root_path_there_is_nothing_below_one(whole: Site, place: str) -> None:
    answer = httpx.get(whole.url.rstrip("/") + place, timeout=HANG_S)
    assert (answer.status_code, answer.text) == (404, "there is nothing here\n")
    through_a_proxy = Visit(whole).ask(place)
    assert through_a_proxy.status_code == 404
    assert "start them with --root-path PATH" in through_a_proxy.text


def test_without_a_root_path_addresses_are_what_they_were(whole: Site) -> None:
    stranger = Visit(whole)
    assert stranger.goes_to("/zh/?event=e1") == "/sign-in?next=/zh/%3Fevent%3De1"
    assert 'action="/sign-in"' in stranger.ask("/sign-in").text
    visit, came = signed_in(whole, "")
    assert came.headers["location"] == "/zh/?event=e1"
    assert visit.goes_to("/") == "/en/"
    assert visit.goes_to("/language/zh") == "/zh/"
    assert visit.goes_to("/") == "/zh/"


@pytest.mark.parametrize("prefix", ["", "/vigil"], ids=["taken off", "left"])
@pytest.mark.parametrize(
    ("origin", "status"),
    [(HOST, 303), ("https://evil.example", 403), ("https://cameras.example", 403), ("null", 403)],
)
def test_the_proxys_own_origin_may_sign_out_and_no_other(below: Site, prefix: str, origin: str, status: int) -> None:
    assert Visit(below).ask(f"{prefix}/sign-out", "POST", origin=origin).status_code == status


@pytest.mark.parametrize("place", ["/vigil/sign-out", "/vigil/en/gradio_api/queue/join", "/en/gradio_api/upload"])
def test_another_site_is_refused_below_the_path_too(below: Site, place: str) -> None:
    visit, _ = signed_in(below, "/vigil")
    foreign = {"sec-fetch-site": "cross-site"}
    assert visit.ask(place, "POST", origin="https://evil.example", **foreign).status_code == 403
    assert visit.ask("/vigil/en/gradio_api/app_id", **foreign).status_code == 403
    assert visit.ask("/vigil/en/", **foreign).status_code == 200


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/vigil/en/", "/en/\\evil"])
def test_where_to_go_on_to_is_never_another_site(below: Site, place: str) -> None:
    assert 'name="next" value="/"' in Visit(below).ask(f"/vigil/sign-in?next={quote(place)}").text
