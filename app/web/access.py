"""Who may come in: this machine only, or whoever knows a password.

The password comes from a file or from `$VIGIL_WEB_AUTH`, one `name:password` a line, never from the command line,
which every user of the machine can read in `ps`. Without one the pages answer to names of this machine only, so
that no other site can reach them through the browser (DNS rebinding).
"""

import asyncio
import binascii
import hmac
import os
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vigil.errors import UsageError

AUTH_VARIABLE = "VIGIL_WEB_AUTH"
K = TypeVar("K")
V = TypeVar("V")
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
SHORTEST_PASSWORD = 8
READING = frozenset({"GET", "HEAD", "OPTIONS"})
WRONG_PASSWORD_S = 1.0
"""What a wrong password costs the one who tries, so that trying many takes long."""

LONGEST_WAIT_S = 60.0
"""Who would have to wait longer is sent away at once, whatever the password."""

MOST_ADDRESSES = 10_000
"""So many addresses and visitors are remembered, the latest."""

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""With every answer: no other site shows these pages in a frame of its own, and none is told their addresses."""


def read_users(auth: str | None) -> dict[str, str]:
    """Names and passwords from a file, or else from `$VIGIL_WEB_AUTH`; empty when neither is there."""
    if auth is None:
        return _users(os.environ.get(AUTH_VARIABLE, ""), f"${AUTH_VARIABLE}")
    path = Path(auth)
    if not path.is_file():
        if ":" in auth:
            raise UsageError(
                "--auth takes the name of a file: a password on the command line is seen by everybody in `ps`; "
                f"write name:password into a file (chmod 600) or into ${AUTH_VARIABLE}"
            )
        raise UsageError(f"--auth: there is no file {auth!r}; it must hold name:password, one a line")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--auth: {path} cannot be read: {error}") from error
    users = _users(text, str(path))
    if not users:
        raise UsageError(f"--auth: {path} holds no name:password")
    return users


def _users(text: str, where: str) -> dict[str, str]:
    users: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, colon, password = line.strip().partition(":")
        if not colon or not name.strip() or len(password) < SHORTEST_PASSWORD:
            raise UsageError(
                f"{where}, line {number}: expected name:password, the password with at least "
                f"{SHORTEST_PASSWORD} characters"
            )
        users[name.strip()] = password
    return users


def check_host(host: str, users: Mapping[str, str]) -> None:
    """Raises UsageError for an address that others can reach while nobody has to know a password."""
    if host not in LOCAL_HOSTS and not users:
        raise UsageError(
            f"--host {host} opens the pages to other machines, who could then see the cameras: name a file with "
            f"name:password in --auth, or set ${AUTH_VARIABLE}; without a password only 127.0.0.1 is served"
        )


class Tries:
    """Passwords that are tried, one after the other for each address, so that trying many at once gains nothing.

    A right one waits behind the wrong ones of its address too: an answer at once would tell it from them. Who was let
    in before from there does not wait.
    """

    def __init__(self) -> None:
        self._free_s: OrderedDict[str, float] = OrderedDict()
        self._let_in: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait_s(self, address: str, user: str | None, now_s: float) -> float:
        """How long the answer to one more try is kept back; `user` is None for a wrong one."""
        waits_s = max(0.0, self._free_s.get(address, 0.0) - now_s)
        if user is not None:
            return 0.0 if (address, user) in self._let_in else waits_s
        if waits_s < LONGEST_WAIT_S:
            waits_s += WRONG_PASSWORD_S
            _remember(self._free_s, address, now_s + waits_s)
        return waits_s

    def let_in(self, address: str, user: str) -> None:
        """From now on this visitor does not wait here."""
        _remember(self._let_in, (address, user), None)


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > MOST_ADDRESSES:
        known.popitem(last=False)


class Gate:
    """ASGI middleware before everything else: the host's name without passwords, HTTP Basic with them."""

    def __init__(self, app: ASGIApp, *, users: Mapping[str, str]) -> None:
        self._app = app
        self._users = dict(users)
        self._tries = Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    async def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if scope.get("method") not in READING and _is_foreign(headers):
            return PlainTextResponse("another site may not use these pages\n", status_code=403)
        if not self._users:
            if _host(headers.get("host", "")) in LOCAL_HOSTS:
                return None
            return PlainTextResponse("these pages answer to 127.0.0.1 and localhost only\n", status_code=421)
        return await self._checked(scope, headers.get("authorization", ""))

    async def _checked(self, scope: Scope, authorization: str) -> PlainTextResponse | None:
        user, address = user_of(authorization, self._users), _client(scope)
        if authorization:
            wait_s = self._tries.wait_s(address, user, time.monotonic())
            if wait_s > LONGEST_WAIT_S:
                return PlainTextResponse("too many wrong passwords; try again in a minute\n", status_code=429)
            await asyncio.sleep(wait_s)
        if user is not None:
            self._tries.let_in(address, user)
            scope["vigil_user"] = user
            return None
        ask = {"WWW-Authenticate": 'Basic realm="Vigil", charset="UTF-8"'}
        return PlainTextResponse("a name and a password are needed\n", status_code=401, headers=ask)


def _with_headers(send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return add


def _client(scope: Scope) -> str:
    """The address that a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def user_of(authorization: str, users: Mapping[str, str]) -> str | None:
    """The name in an HTTP Basic header whose password is right, else None; takes as long for every wrong one."""
    kind, _, encoded = authorization.partition(" ")
    try:
        name, _, password = b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    is_right = hmac.compare_digest(users.get(name, "").encode(), password.encode())
    return name if kind.lower() == "basic" and name in users and is_right else None


def _is_foreign(headers: Headers) -> bool:
    """Whether a page of another site sends this: a browser adds the password of its visitor to that too."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _host(header: str) -> str:
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""
