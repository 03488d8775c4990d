"""The console's pages over HTTP: who gets them, what they hold, and what their headers allow."""

import asyncio
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from app.access import AccessMiddleware, AccessOptions
from app.allowed_routes import is_open, is_start_page
from app.console.assets import FOLDER, ConsoleAssets
from app.console.pages import add_console, filled, words_json
from app.language import translator
from app.passwords import Users
from app.web.root_path import BelowRootPath, RootPath, WithRootPath
from fastapi import FastAPI

from cheap_passwords import users_of
from rooms import context_of

with_users = users_of({"ada": "correct horse", "bob": "battery staple"}, viewers=frozenset({"bob"}))
BASE = "http://127.0.0.1:7860"
PAGES = ("/en/watch", "/zh/watch", "/en/events", "/zh/events/e0001")


def console(folder: Path, *, users: Users | None = None, root: str = "") -> Any:
    """The console behind the gate, without the other pages."""
    from app.web.context import SiteOptions

    options = SiteOptions(users=users or Users(), root=RootPath.of(root))
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_console(app, context_of(folder, options=options), ConsoleAssets.read())
    app.add_middleware(WithRootPath, root=options.root)
    app.add_middleware(AccessMiddleware, options=AccessOptions(users=options.users, root=options.root))
    app.add_middleware(BelowRootPath, root=options.root)
    return app


async def _ask(app: Any, path: str, sign_in: tuple[str, str] | None, headers: dict[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 4000))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        if sign_in:
            name, password = sign_in
            await client.post("/sign-in", data={"name": name, "password": password})
        return await client.get(path, headers=headers)


def get(app: Any, path: str, *, sign_in: tuple[str, str] | None = None, **headers: str) -> httpx.Response:
    return asyncio.run(_ask(app, path, sign_in, headers))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield console(tmp_path_factory.mktemp("console"))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_served_and_allows_no_script_or_style_of_its_own(app: Any, path: str) -> None:
    answer = get(app, path)
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["x-frame-options"] == "DENY" and answer.headers["cache-control"] == "no-store"
    inline = [
        (attributes, body)
        for attributes, body in re.findall(r"<script([^>]*)>(.*?)</script>", answer.text, re.DOTALL)
        if body and "application/json" not in attributes
    ]
    assert inline == [] and "<style" not in answer.text
    assert re.findall(r"<[^>]+\s(?:style|on\w+)=", re.sub(r"<script.*?</script>", "", answer.text, flags=re.S)) == []


@pytest.mark.parametrize("path", PAGES)
def test_every_file_that_a_page_names_is_there_and_is_kept_by_the_browser(app: Any, path: str) -> None:
    named = re.findall(r'(?:src|href)="(/console/[^"]+)"', get(app, path).text)
    assert any(name.endswith("console.css") for name in named) and any(name.endswith("api.js") for name in named)
    for name in named:
        answer = get(app, name)
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"], name


def test_all_modules_that_are_imported_exist() -> None:
    names = {path.name for path in FOLDER.iterdir()}
    for path in FOLDER.glob("*.js"):
        imported = re.findall(r'from "\./([\w.]+)"|^import "\./([\w.]+)"', path.read_text(), re.MULTILINE)
        assert {first or second for first, second in imported} <= names, path.name


def test_a_file_of_an_older_version_is_served_but_not_kept(app: Any) -> None:
    answer = get(app, "/console/static/000000000000/api.js")
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert get(app, "/console/static/000000000000/none.js").status_code == 404


@pytest.mark.parametrize("name", ["..%2fpages.py", "%2e%2e/pages.py", "shell.html", "../shell.html", "a/b/api.js"])
def test_nothing_but_the_assets_is_served(app: Any, name: str) -> None:
    assert get(app, f"/console/static/x/{name}").status_code == 404


def test_the_digest_changes_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    first = ConsoleAssets.read(tmp_path)
    (tmp_path / "a.js").write_text("2")
    second = ConsoleAssets.read(tmp_path)
    assert first.digest != second.digest and first.path("a.js") != second.path("a.js")
    with pytest.raises(KeyError):
        first.path("b.js")


def test_pages_are_in_the_language_of_their_address(app: Any) -> None:
    english, chinese = get(app, "/en/watch").text, get(app, "/zh/watch").text
    assert '<html lang="en">' in english and "<title>Watch · Vigil</title>" in english
    assert '<html lang="zh-CN">' in chinese and "监控" in chinese
    assert 'href="/language/zh?page=watch"' in english and 'href="/language/en?page=watch"' in chinese


def test_the_switch_of_language_keeps_the_event(app: Any) -> None:
    assert 'href="/language/en?page=events/e0001"' in get(app, "/zh/events/e0001").text


def test_words_in_a_page_cannot_end_the_script_that_holds_them() -> None:
    told = words_json(translator("en"), ("console.", "watch."))
    assert "<" not in told and json.loads(told)["console.watch"] == "Watch"
    assert json.loads(told).keys() == {key for key in translator("zh").texts if key.startswith(("console.", "watch."))}


def test_what_is_filled_in_is_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    assert filled("<p>{{name}}</p>", translator("en"), {"name": evil}, {}) == f"<p>{html.escape(evil)}</p>"


def test_without_users_nobody_is_named_and_everything_is_allowed(app: Any) -> None:
    page = get(app, "/en/watch").text
    assert 'data-role="admin"' in page and 'data-name=""' in page and "sign-out" not in page


@pytest.mark.parametrize(
    ("name", "password", "role"), [("ada", "correct horse", "admin"), ("bob", "battery staple", "viewer")]
)
def test_with_users_a_page_says_who_is_signed_in(tmp_path: Path, name: str, password: str, role: str) -> None:
    page = get(console(tmp_path, users=with_users), "/en/watch", sign_in=(name, password)).text
    assert f'data-role="{role}"' in page and f'data-name="{name}"' in page and 'action="/sign-out"' in page


def test_a_browser_that_is_not_signed_in_is_led_to_the_page_to_do_so_and_back(tmp_path: Path) -> None:
    browser = {"user-agent": "Mozilla/5.0", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    app = console(tmp_path, users=with_users)
    answer = get(app, "/en/events/e0001", **browser)
    assert answer.status_code == 303 and answer.headers["location"] == "/sign-in?next=/en/events/e0001"
    assert get(app, "/console/static/x/api.js", **browser).status_code == 401


def test_below_a_path_of_a_proxy_every_address_begins_with_it(tmp_path: Path) -> None:
    app = console(tmp_path, users=with_users, root="/vigil")
    page = asyncio.run(_ask(app, "/vigil/en/watch", None, {"authorization": "Basic YWRhOmNvcnJlY3QgaG9yc2U="})).text
    addresses = re.findall(r'(?:src|href|action)="(/[^"]*)"', page)
    assert len(addresses) > 10 and all(address.startswith("/vigil/") for address in addresses)
    assert 'data-root="/vigil/"' in page


@pytest.mark.parametrize("path", PAGES)
def test_links_from_other_sites_may_lead_to_a_page(path: str) -> None:
    assert is_open("GET", path) and is_start_page("GET", path) and not is_open("POST", path)


@pytest.mark.parametrize(
    "path", ["/en/watch/", "/en/events/", "/en/events/a/b", "/en/events/..", "/fr/watch", "/console"]
)
def test_what_only_looks_like_a_page_is_shut(path: str) -> None:
    assert not is_open("GET", path)
