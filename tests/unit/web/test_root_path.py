"""The path of a reverse proxy: what may be one, and how it is taken off and put back."""

import asyncio
from typing import Any

import pytest
from app.access import check_host
from app.passwords import Users
from app.trusted_proxies import TrustedProxies
from app.web.root_path import BelowRootPath, RootPath, WithRootPath
from starlette.types import Receive, Scope, Send

from cheap_passwords import users_of
from vigil.errors import UsageError


@pytest.mark.parametrize("word", ["/vigil", "/apps/vigil", "/a.b-c_d~e/1", "/en/vigil", "/..a", "/vigil2/.well"])
def test_a_path_below_which_a_proxy_shows_the_pages(word: str) -> None:
    assert RootPath.of(word).url("/en/") == f"{word}/en/"
    assert RootPath.of(word).cookie_path == word


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("vigil", "begins with /"),
        ("/", "omit it"),
        ("/vigil/", "does not end with it"),
        ("//evil.example", "full URL"),
        ("https://cameras.example/vigil", "full URL"),
        ("/a//b", "begins with /"),
        ("/../vigil", "without . or .."),
        ("/vigil/..", "without . or .."),
        ("/./vigil", "without . or .."),
        ("/vigil?x=1", "letters, digits"),
        ("/vigil#x", "letters, digits"),
        ("/vi gil", "letters, digits"),
        ("/vigil\n", "letters, digits"),
        ("/%76igil", "letters, digits"),
        ("/视频", "letters, digits"),
        ('/"><script>', "letters, digits"),
        ("/vigil;a=b", "letters, digits"),
        ("\\vigil", "letters, digits"),
        (" ", "letters, digits"),
        ("http://[", "full URL"),
        ("/" + "a" * 200, "at most 200"),
        ("/en", "use that path themselves"),
        ("/zh", "use that path themselves"),
        ("/sign-in", "use that path themselves"),
        ("/language", "use that path themselves"),
        ("/en/gradio_api/queue", "use that path themselves"),
        ("/en/assets/a/b", "use that path themselves"),
    ],
)
def test_another_word_is_refused_with_what_to_give(word: str, said: str) -> None:
    with pytest.raises(UsageError, match="--root-path") as refused:
        RootPath.of(word)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_path_is_the_whole_host() -> None:
    root = RootPath.of("")
    assert (root.url("/en/"), root.cookie_path, root.cookie_name("a")) == ("/en/", "/", "a")


def test_a_path_needs_users_as_every_proxy_does() -> None:
    with pytest.raises(UsageError, match="--root-path /vigil is for pages behind a proxy"):
        check_host("127.0.0.1", Users(), TrustedProxies(), RootPath("/vigil"))
    check_host("127.0.0.1", users_of({"ada": "correct horse"}), TrustedProxies(), RootPath("/vigil"))
    check_host("127.0.0.1", Users(), TrustedProxies(), RootPath())


def seen_by(layer: Any, root: str, path: str, kind: str = "http") -> Scope:
    found: dict[str, Any] = {}

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        found.update(scope)

    async def nothing(*_: Any) -> Any:
        return {}

    scope = {"type": kind, "path": path, "raw_path": path.encode(), "root_path": ""}
    asyncio.run(layer(page, root=RootPath(root))(scope, nothing, nothing))
    return found


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ("/vigil", "/"),
        ("/vigil/", "/"),
        ("/vigil/en/", "/en/"),
        ("/en/", "/en/"),
        ("/vigilant/en/", "/vigilant/en/"),
        ("/vigil/vigil/en/", "/vigil/en/"),
        ("/vigil//en/", "//en/"),
        ("/other/vigil/en/", "/other/vigil/en/"),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_the_path_is_taken_off_once_whether_the_proxy_left_it_or_not(asked: str, seen: str, kind: str) -> None:
    found = seen_by(BelowRootPath, "/vigil", asked, kind)
    assert (found["path"], found["raw_path"]) == (seen, seen.encode())


def test_gradio_gets_the_path_back() -> None:
    found = seen_by(WithRootPath, "/vigil", "/en/gradio_api/file=/a/é.png")
    assert (found["root_path"], found["path"]) == ("/vigil", "/vigil/en/gradio_api/file=/a/é.png")
    assert found["raw_path"] == b"/vigil/en/gradio_api/file=/a/%C3%A9.png"


@pytest.mark.parametrize("layer", [BelowRootPath, WithRootPath])
@pytest.mark.parametrize("path", ["/", "/en/", "/vigil/en/"])
def test_without_a_root_path_the_layers_leave_everything_as_it_is(layer: Any, path: str) -> None:
    assert seen_by(layer, "", path) == {"type": "http", "path": path, "raw_path": path.encode(), "root_path": ""}
