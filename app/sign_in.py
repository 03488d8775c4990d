"""Signing in and out: the two pages, the limits on attempts, and the sessions.

A session is a signed cookie with a random name. It expires by itself or when its user signs out; signing in always
begins a new one. The signing key is made at each start, so a restart ends every session. Attempts and their results
go into the audit log (`app.audit_log`).
"""

import hmac
import html
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
from itsdangerous import BadData, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from vigil.store.times import passed_s

from . import audit_log
from .allowed_routes import is_start_page
from .language import LANGUAGE_COOKIE, choose_language, translator
from .login_throttle import LoginThrottle
from .passwords import PasswordCheck, UserDirectory
from .trusted_proxies import address_group
from .web.root_path import RootPath

KEY_BYTES = 32
NAME_BYTES = 16
MOST_COOKIES = 1024
"""Sessions whose signature is remembered as checked."""


class Sessions:
    """Begins, checks and ends sessions; thread-safe.

    A session lasts `lifetime_s` by `clock`, which is not the one on the wall: that may be set, and sessions do not
    outlive the process.
    """

    def __init__(self, *, lifetime_s: float, clock: Callable[[], float] = passed_s) -> None:
        self.lifetime_s = lifetime_s
        self._clock = clock
        self._signer = URLSafeSerializer(secrets.token_bytes(KEY_BYTES), salt="vigil session")
        # What a cookie says never changes; whether it still holds is asked each time. Forged ones are not remembered.
        self._loads = lru_cache(maxsize=MOST_COOKIES)(self._signer.loads)
        self._csrf_key = secrets.token_bytes(KEY_BYTES)
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, user: str, stamp: str = "") -> str:
        """Returns the cookie of a new session; the `stamp` (`stamp_of`) ties it to the user's present password."""
        until_s = self._clock() + self.lifetime_s
        return str(self._signer.dumps([secrets.token_urlsafe(NAME_BYTES), user, until_s, stamp]))

    def user(self, cookie: str) -> str | None:
        """Returns the session's user, or None if it is forged, expired or signed out."""
        session = self._read(cookie)
        return None if session is None else session.user

    def user_of(self, cookie: str, users: UserDirectory) -> str | None:
        """The same, but also None if the user is gone or has another password than when signing in."""
        session = self._read(cookie)
        return None if session is None or session.stamp != stamp_of(users, session.user) else session.user

    def csrf_token(self, cookie: str) -> str:
        """The token that a page of this session sends with every change; another site cannot read it."""
        session = self._read(cookie)
        return "" if session is None else hmac.digest(self._csrf_key, session.name.encode(), sha256).hex()

    def end(self, cookie: str) -> str | None:
        """Revokes a session, even for copies of its cookie; returns its user."""
        session = self._read(cookie)
        if session is None:
            return None
        with self._lock:
            now_s = self._clock()
            self._ended = {ended: over_s for ended, over_s in self._ended.items() if over_s > now_s}
            self._ended[session.name] = session.until_s
        return session.user

    def _read(self, cookie: str) -> "_Session | None":
        try:
            name, user, until_s, stamp = self._loads(cookie)
        except (BadData, ValueError, TypeError):
            return None
        if until_s <= self._clock() or name in self._ended:
            return None
        return _Session(str(name), str(user), float(until_s), str(stamp))


@dataclass(frozen=True, slots=True)
class _Session:
    name: str
    user: str
    until_s: float
    stamp: str


def stamp_of(users: UserDirectory, name: str) -> str | None:
    """What changes with a user's password, and reveals nothing about it; None if there is no such user."""
    hashed = users.hash_of(name)
    return None if hashed is None else sha256(hashed.encode()).hexdigest()[:16]


FORM_BYTES = 8192
LONGEST_NAME = 200
TEMPLATE = (Path(__file__).resolve().parent / "sign_in.html").read_text(encoding="utf-8")
PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class SignInAttempt(Enum):
    """The result of a sign-in attempt."""

    RIGHT = "right"
    WRONG = "wrong"
    TOO_MANY = "too many"


@dataclass(frozen=True, slots=True)
class Passwords:
    """Checks passwords within the rate limits of `LoginThrottle`."""

    users: UserDirectory
    check: PasswordCheck
    throttle: LoginThrottle = field(default_factory=LoginThrottle)
    too_many: audit_log.RareWarning = field(default_factory=audit_log.RareWarning)
    one_at_a_time: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    """A check takes 64 MiB and about 50 ms; one at a time, it takes no thread from the pages."""

    async def attempt(self, name: str, password: str, *, address: str) -> tuple[SignInAttempt, float]:
        """Returns the result of an attempt from an address, and the seconds until another one is allowed."""
        name, group = name[:LONGEST_NAME], address_group(address)
        wait_s = self.throttle.wait_s(group, name)
        if wait_s > 0:
            self.too_many.say("too many sign-ins", user=name, address=address)
            return SignInAttempt.TOO_MANY, wait_s
        if not await anyio.to_thread.run_sync(self.check.is_right, name, password, limiter=self.one_at_a_time):
            audit_log.record("sign-in refused", user=name, address=address)
            return SignInAttempt.WRONG, 0.0
        self.throttle.give_back(group, name)
        return SignInAttempt.RIGHT, 0.0


class SignIn:
    """Answers `/sign-in` and `/sign-out`; `cookie_name` keeps servers on other ports of this machine apart.

    `next` is a path within the site; `root` is put before it only in what is sent to a browser.
    """

    def __init__(
        self, passwords: Passwords, sessions: Sessions, *, cookie_name: str, root: RootPath | None = None
    ) -> None:
        self._root = root or RootPath()
        self._passwords = passwords
        self._sessions = sessions
        self._cookie_name = cookie_name

    async def answer(self, request: Request) -> Response:
        """Answers a request for one of the two pages; requests from other sites were refused before."""
        if request.url.path == "/sign-out":
            return self._sign_out(request)
        if request.method == "POST":
            return await self._sign_in(request)
        return self._page(request, next_path=request.query_params.get("next", "/"))

    async def _sign_in(self, request: Request) -> Response:
        form = await _form(request)
        if form is None:
            return PlainTextResponse("a name and a password are expected\n", status_code=400)
        name, next_path = form.get("name", ""), form.get("next", "/")
        address = request.client.host if request.client else ""
        came, wait_s = await self._passwords.attempt(name, form.get("password", ""), address=address)
        if came is not SignInAttempt.RIGHT:
            return self._page(request, next_path=next_path, name=name, came=came, wait_s=wait_s)
        audit_log.record("signed in", user=name, address=address)
        stamp = await anyio.to_thread.run_sync(stamp_of, self._passwords.users, name)
        answer = RedirectResponse(self._root.url(_inside(next_path)), status_code=303)
        self._set_cookie(
            request, answer, self._sessions.begin(name, stamp or ""), max_age_s=int(self._sessions.lifetime_s)
        )
        return answer

    def _sign_out(self, request: Request) -> Response:
        user = self._sessions.end(request.cookies.get(self._cookie_name, ""))
        if user is not None:
            audit_log.record("signed out", user=user, address=request.client.host if request.client else "")
        answer = RedirectResponse(self._root.url("/sign-in"), status_code=303)
        self._set_cookie(request, answer, "", max_age_s=0)
        return answer

    def _set_cookie(self, request: Request, answer: Response, value: str, *, max_age_s: int) -> None:
        answer.set_cookie(
            self._cookie_name,
            value,
            max_age=max_age_s,
            path=self._root.cookie_path,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )

    def _page(
        self,
        request: Request,
        *,
        next_path: str,
        name: str = "",
        came: SignInAttempt | None = None,
        wait_s: float = 0.0,
    ) -> Response:
        wished = (
            request.cookies.get(self._root.cookie_name(LANGUAGE_COOKIE)),
            request.headers.get("accept-language", ""),
        )
        t = translator(choose_language(*wished))
        problems = {
            SignInAttempt.WRONG: t("sign_in.wrong"),
            SignInAttempt.TOO_MANY: t("sign_in.too_many", seconds=max(1, round(wait_s))),
        }
        texts = {key: t(f"sign_in.{key}") for key in ("title", "name", "password", "button")}
        problem = problems.get(came, "") if came else ""
        filled = {"language": t.language, "problem": problem, "value": name, "next": _inside(next_path), **texts}
        filled["action"] = self._root.url("/sign-in")
        return _html(filled, came, wait_s)


def _html(filled: Mapping[str, str], came: SignInAttempt | None, wait_s: float) -> Response:
    text = PLACEHOLDER.sub(lambda found: html.escape(filled[found[1]]), TEMPLATE)
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store"}
    if came is SignInAttempt.TOO_MANY:
        headers["Retry-After"] = str(max(1, round(wait_s)))
    statuses = {SignInAttempt.WRONG: 401, SignInAttempt.TOO_MANY: 429}
    return HTMLResponse(text, status_code=statuses.get(came, 200) if came else 200, headers=headers)


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of a form; None if it is malformed or too long. Read by hand, so that memory is bounded."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return None
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES:
            return None
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=8, errors="strict"))
    except ValueError:
        return None


def _inside(path: str) -> str:
    """Returns `path` if it is one of the start pages, never another site's address."""
    place = path.partition("?")[0]
    return path if is_start_page("GET", place) and path.isprintable() and "\\" not in path else "/"
