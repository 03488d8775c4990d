"""Decides which requests reach the pages: by host name, by site of origin, by route and by user.

The checks, in this order: without users, only names of this machine are served (any other name would let in a site that
the browser visits, by DNS rebinding); requests from another site's page are refused, except links to the start pages;
only listed routes are open; with users, a session or a password is required, or for the service a key. A change that a
session makes in the service needs the session's CSRF token too. What the service is refused is told as a problem
(`app.problems`), everything else as text.
"""

import binascii
import hmac
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import anyio.to_thread
from starlette.authentication import SimpleUser, UnauthenticatedUser
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vigil.errors import UsageError
from vigil.store.api_keys import ApiKey

from . import audit_log
from .accounts import Accounts
from .allowed_routes import API, is_for_all, is_open, is_start_page, methods_of
from .http.rate_limit import RateLimit
from .passwords import AUTH_VARIABLE, PasswordCheck, UserDirectory, Users
from .principal import Principal, local_principal
from .problems import problem, retry_after
from .sign_in import Passwords, Sessions, SignIn, SignInAttempt
from .trusted_proxies import TrustedProxies, address_group
from .web.root_path import RootPath

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
HOST = re.compile(r"(?P<name>\[[0-9a-fA-F]*:[0-9a-fA-F:.]*\]|[a-zA-Z0-9.-]+)(?::[0-9]{1,5})?")
SIGN_IN_PAGES = frozenset({"/sign-in", "/sign-out"})
SESSION_S = 12 * 3600.0

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""Added to every response that does not set them. No other site can frame, read or embed the pages, and the pages load
nothing from elsewhere. Gradio needs inline scripts and `eval`, so both are allowed."""

FOREIGN = (
    "another site may not use these pages; if this is their own address, the proxy before them changes Host: let it "
    "pass that on as it is, or name it with --trusted-proxy and let it send X-Forwarded-Host\n"
)

UNWANTED_HEADERS = frozenset({b"access-control-allow-origin", b"access-control-allow-credentials"})
CACHE_CONTROL = b"cache-control"
ADDED_HEADERS = tuple((name.lower().encode(), value.encode()) for name, value in HEADERS.items())

SAFE_METHODS = frozenset({"GET", "HEAD"})
CSRF_HEADER = "x-csrf-token"
API_BURST = 1000
API_EVERY_S = 1 / 500
"""Requests to the service from one address: a burst of a thousand, then 500 a second."""


def check_host(
    host: str, users: UserDirectory, trusted: TrustedProxies | None = None, root: RootPath | None = None
) -> None:
    """Raises UsageError if the pages have no users but would be open to other machines or to a proxy."""
    if users:
        return
    if host not in LOCAL_HOSTS:
        raise UsageError(
            f"--host {host} opens the pages to other machines, who could then see the cameras: name a file with "
            f"name:password in --auth, set ${AUTH_VARIABLE}, or add users to the store (vigil users add NAME); without "
            "a password only 127.0.0.1 is served"
        )
    if trusted is not None and trusted.networks:
        raise UsageError(
            "--trusted-proxy opens the pages to everyone whom the proxy admits: name a file with name:password in "
            f"--auth, or set ${AUTH_VARIABLE}"
        )
    if root is not None and root.path:
        raise UsageError(
            f"--root-path {root.path} is for pages behind a proxy, which opens them to everyone it admits: name a "
            f"file with name:password in --auth, or set ${AUTH_VARIABLE}"
        )


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """Users, session length and cookie name; the name includes `port`, since browsers share cookies between ports.

    `accounts` are the users and keys of file and store; without them, there are the `users` alone, and no keys.
    """

    users: UserDirectory = field(default_factory=Users)
    accounts: Accounts | None = None
    session_s: float = SESSION_S
    port: int = 7860
    root: RootPath = field(default_factory=RootPath)


class AccessMiddleware:
    """Outermost ASGI middleware; sets `scope["user"]` and `scope["vigil_visitor"]`."""

    def __init__(self, app: ASGIApp, *, options: AccessOptions, passwords: Passwords | None = None) -> None:
        self._app = app
        self._accounts = options.accounts
        self._users: UserDirectory = options.users if options.accounts is None else options.accounts
        self._passwords = passwords or Passwords(self._users, PasswordCheck(self._users))
        self._api_rate = RateLimit(burst=API_BURST, every_s=API_EVERY_S)
        self._wrong_keys = audit_log.RareWarning()
        self._sessions = Sessions(lifetime_s=options.session_s)
        self._root = options.root
        self._cookie_name = options.root.cookie_name(f"vigil_session_{options.port}")
        self._programs = audit_log.FirstOfMany(again_s=options.session_s)
        self._sign_in = SignIn(self._passwords, self._sessions, cookie_name=self._cookie_name, root=options.root)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # The pages use no websockets, and Gradio's would bypass every check made for HTTP requests.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = await self._answer(scope, receive)
        await (answer or self._app)(scope, receive, _with_headers(send, is_page=is_start_page("GET", scope["path"])))

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """Returns the response to send instead of the page, or None if the request is allowed."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        refused = await self._refused_at_once(scope, headers)
        if refused is not None:
            return refused
        if _is_foreign(headers) and not (_is_link(headers) and is_start_page(method, path)):
            return _refusal(scope, 403, FOREIGN)
        if not is_open(method, path):
            return _not_with_this_method(scope) or _nothing_here(scope, self._root)
        if is_for_all(path):
            return None
        if path not in SIGN_IN_PAGES:
            return await self._let_in(scope, headers)
        if not self._users:
            return RedirectResponse(self._root.url("/"), 303)
        return await self._sign_in.answer(Request(scope, receive))

    async def _refused_at_once(self, scope: Scope, headers: Headers) -> Response | None:
        """Refuses what is too much from one address, and what may come from elsewhere while there are no users."""
        if is_api(scope):
            wait_s = self._api_rate.wait_s(address_group(_client(scope)))
            if wait_s > 0:
                return _refusal(scope, 429, "too many requests; try again later", headers=retry_after(wait_s))
        if self._accounts is not None and self._accounts.is_stale:
            await anyio.to_thread.run_sync(bool, self._accounts)
        return None if self._users else _not_local(scope, headers)

    async def _let_in(self, scope: Scope, headers: Headers) -> Response | None:
        if is_api(scope) and headers.get("authorization", "").partition(" ")[0].lower() == "bearer":
            return await self._by_key(scope, headers)
        address = _client(scope)
        if not self._users:
            scope["user"], scope["vigil_visitor"] = UnauthenticatedUser(), f"address {address_group(address)}"
            scope["vigil_principal"] = local_principal(address)
            return None
        cookie = Request(scope).cookies.get(self._cookie_name, "")
        user = self._sessions.user_of(cookie, self._users)
        has_session = user is not None
        if user is None:
            user, refused = await self._by_password(scope, headers.get("authorization", ""), address)
            if user is None:
                return refused or _ask(scope, headers, self._root)
        scope["user"], scope["vigil_visitor"] = SimpleUser(user), f"user {user}"
        return self._enter(scope, headers, user, cookie=cookie if has_session else "")

    def _enter(self, scope: Scope, headers: Headers, user: str, *, cookie: str) -> Response | None:
        """Notes who it is; refuses a change in the service that a session makes without its token."""
        role = self._users.role_of(user)
        if role is None:
            return _ask(scope, headers, self._root)
        token = self._sessions.csrf_token(cookie) if cookie else ""
        scope["vigil_principal"] = Principal(
            name=user,
            role=role,
            kind="session" if cookie else "password",
            address=_client(scope),
            csrf_token=token,
        )
        if not is_api(scope) or scope["method"] in SAFE_METHODS or not cookie:
            return None
        if hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), token.encode()):
            return None
        return _refusal(
            scope, 403, "a change needs the header X-CSRF-Token; GET /api/v1/session tells its value", kind="csrf"
        )

    async def _by_key(self, scope: Scope, headers: Headers) -> Response | None:
        """Lets a program in by its key, or returns the refusal."""
        secret, address = headers["authorization"].partition(" ")[2].strip(), _client(scope)
        key = await self._key(secret)
        if key is None:
            self._wrong_keys.say("key refused", address=address)
            return _ask(scope, headers, self._root)
        name = f"key {key.name} ({key.id})"
        scope["user"], scope["vigil_visitor"] = SimpleUser(name), name
        scope["vigil_principal"] = Principal(name=name, role=key.role, kind="key", scopes=key.scopes, address=address)
        return None

    async def _key(self, secret: str) -> ApiKey | None:
        if self._accounts is None:
            return None
        is_known, key = self._accounts.key_at_once(secret)
        return key if is_known else await anyio.to_thread.run_sync(self._accounts.key, secret)

    async def _by_password(self, scope: Scope, authorization: str, address: str) -> tuple[str | None, Response | None]:
        """Checks an HTTP Basic header, as scripts send it; returns the user, or the response to a failed attempt."""
        given = basic_credentials(authorization)
        if given is None:
            return None, None
        name, password = given
        came, wait_s = await self._passwords.attempt(name, password, address=address)
        if came is SignInAttempt.TOO_MANY:
            return None, _refusal(scope, 429, "too many attempts; try again later", headers=retry_after(wait_s))
        if came is SignInAttempt.WRONG:
            return None, None
        self._programs.say("program let in", user=name, address=address)
        return name, None


def is_api(scope: Scope) -> bool:
    """Whether a request is for the service, which answers in JSON."""
    return str(scope["path"]).startswith(f"{API}/")


def _refusal(
    scope: Scope, status: int, text: str, *, kind: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """A refusal in the form of what was asked: a problem for the service, text for everything else."""
    if is_api(scope):
        return problem(status, text, kind=kind, headers=headers)
    return PlainTextResponse(f"{text.strip()}\n", status_code=status, headers=headers)


def _not_local(scope: Scope, headers: Headers) -> Response | None:
    """Refuses requests that may come from another machine, when there are no users."""
    if scope.get("vigil_forwarded") or _is_renamed(headers):
        return _refusal(
            scope,
            403,
            "these pages have no users, so requests through a proxy are refused; start them with --auth FILE and "
            "--trusted-proxy ADDRESS",
        )
    if _host(headers.get("host", "")) in LOCAL_HOSTS:
        return None
    return _refusal(scope, 421, "these pages answer to 127.0.0.1 and localhost only")


def _is_renamed(headers: Headers) -> bool:
    """Whether a proxy rewrote `Host`: the browser reports a same-origin request, but under another host name."""
    told = headers.get("origin") or headers.get("referer")
    if told is None or headers.get("sec-fetch-site") != "same-origin":
        return False
    return _host(_netloc(told)) not in LOCAL_HOSTS


def _nothing_here(scope: Scope, root: RootPath) -> Response:
    """A 404 that names the likely mistake: a proxy that uses another root path than these pages."""
    advice = ""
    if root.path:
        advice = f"; these pages are below {root.url('/')}"
    elif scope.get("vigil_forwarded"):
        advice = "; if a proxy serves these pages below a path, start them with --root-path PATH"
    return _refusal(scope, 404, f"there is nothing here{advice}")


def _not_with_this_method(scope: Scope) -> Response | None:
    """A 405 if a route of the service is there, but with other methods."""
    methods = methods_of(scope["path"]) if is_api(scope) else []
    if not methods:
        return None
    told = ", ".join(sorted(methods))
    return _refusal(scope, 405, f"this address takes {told}", headers={"Allow": told})


def _ask(scope: Scope, headers: Headers, root: RootPath) -> Response:
    """Redirects a browser to the sign-in page; sends any other client a 401.

    A browser never gets a Basic challenge: it would then attach the password to requests that other sites trigger.
    """
    is_browser = "sec-fetch-mode" in headers or headers.get("user-agent", "").startswith("Mozilla/")
    if is_browser and scope["method"] in {"GET", "HEAD"} and is_start_page("GET", scope["path"]):
        query = scope["query_string"].decode("latin-1")
        place = f"{scope['path']}?{query}" if query else scope["path"]
        return RedirectResponse(f"{root.url('/sign-in')}?next={quote(place, safe='/')}", status_code=303)
    if is_api(scope):
        needed = f"a key, or a name and a password, are needed; browsers sign in at {root.url('/sign-in')}"
        challenge = {} if is_browser else {"WWW-Authenticate": 'Bearer realm="Vigil"'}
        return _refusal(scope, 401, needed, headers=challenge)
    challenge = {} if is_browser else {"WWW-Authenticate": 'Basic realm="Vigil", charset="UTF-8"'}
    needed = f"a name and a password are needed: {root.url('/sign-in')}\n"
    return PlainTextResponse(needed, status_code=401, headers=challenge)


def _with_headers(send: Send, *, is_page: bool) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": _completed(message["headers"], is_page=is_page)}
        await send(message)

    return add


def _completed(headers: Iterable[tuple[bytes, bytes]], *, is_page: bool) -> list[tuple[bytes, bytes]]:
    """The headers of a response as they are sent: with those of `HEADERS` that it lacks, without unwanted ones."""
    told = {name.lower() for name, _ in headers}
    left_out = UNWANTED_HEADERS | ({CACHE_CONTROL} if is_page else frozenset())
    kept = list(headers)
    if told & left_out:
        kept = [(name, value) for name, value in kept if name.lower() not in left_out]
    kept += [(name, value) for name, value in ADDED_HEADERS if name not in told]
    if is_page:
        kept.append((CACHE_CONTROL, b"no-store"))
    return kept


def _client(scope: Scope) -> str:
    """The address that a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """Returns name and password of an HTTP Basic header, or None if it is anything else."""
    kind, _, encoded = authorization.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (name, password) if colon else None


def _is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether another site's page triggered this request; browsers attach the visitor's cookies to those too.

    Another port of the same host counts as another site. Browsers that do not send `Sec-Fetch-Site` send `Origin` with
    requests that can change something, and `Referer` with most others.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    told = headers.get("origin") or headers.get("referer")
    return told is not None and _netloc(told) != headers.get("host")


def _netloc(address: str) -> str:
    try:
        return urlsplit(address).netloc
    except ValueError:
        return ""


def _is_link(headers: Mapping[str, str]) -> bool:
    """Whether a request is a plain navigation, as from a link: not a script, an image or a frame."""
    if "origin" in headers:
        return False
    if "sec-fetch-site" not in headers:
        return True
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _host(header: str) -> str:
    """The host name in a Host header; empty if the header is malformed."""
    found = HOST.fullmatch(header)
    return found["name"].strip("[]").lower() if found else ""
