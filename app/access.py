"""The gate before the pages: where a request may go, from which site, and who it comes from.

In this order: names of this machine only, where there are no users (other names would let in a site that a browser
visits, by DNS rebinding); nothing that another site's page sends, but links to the start pages; only routes on the
list; and, where there are users, a session or a password.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from starlette.authentication import SimpleUser, UnauthenticatedUser
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import audit_log
from app.allowed_routes import is_open, is_start_page
from app.passwords import AUTH_VARIABLE, PasswordCheck, Users
from app.sign_in import Passwords, Sessions, SignIn, SignInAttempt
from app.trusted_proxies import TrustedProxies, address_group
from app.web.root_path import RootPath
from vigil.errors import UsageError

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
"""With every answer that does not say otherwise: no other site shows the pages in a frame, reads or embeds them, and
they load nothing from elsewhere. Gradio's scripts are inline and built from strings, so these are not forbidden."""

FOREIGN = (
    "another site may not use these pages; if this is their own address, the proxy before them changes Host: let it "
    "pass that on as it is, or name it with --trusted-proxy and let it send X-Forwarded-Host\n"
)

UNWANTED_HEADERS = ("access-control-allow-origin", "access-control-allow-credentials")


def check_host(host: str, users: Users, trusted: TrustedProxies | None = None, root: RootPath | None = None) -> None:
    """Raises UsageError for an address or a proxy that lets others in while nobody has to know a password."""
    if users:
        return
    if host not in LOCAL_HOSTS:
        raise UsageError(
            f"--host {host} opens the pages to other machines, who could then see the cameras: name a file with "
            f"name:password in --auth, or set ${AUTH_VARIABLE}; without a password only 127.0.0.1 is served"
        )
    if trusted is not None and trusted.networks:
        raise UsageError(
            "--trusted-proxy opens the pages to whoever the proxy lets through: name a file with name:password in "
            f"--auth, or set ${AUTH_VARIABLE}"
        )
    if root is not None and root.path:
        raise UsageError(
            f"--root-path {root.path} is for pages behind a proxy, which opens them to whoever it lets through: name a "
            f"file with name:password in --auth, or set ${AUTH_VARIABLE}"
        )


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """Who may come in; `port` names the cookie, as a browser keeps the cookies of all ports of a host together."""

    users: Users = field(default_factory=Users)
    session_s: float = SESSION_S
    port: int = 7860
    root: RootPath = field(default_factory=RootPath)


class AccessMiddleware:
    """ASGI middleware before everything else; sets `scope["user"]` and `scope["vigil_visitor"]`."""

    def __init__(self, app: ASGIApp, *, options: AccessOptions, passwords: Passwords | None = None) -> None:
        self._app = app
        self._users = options.users
        self._passwords = passwords or Passwords(options.users, PasswordCheck(options.users))
        self._sessions = Sessions(lifetime_s=options.session_s)
        self._root = options.root
        self._cookie_name = options.root.cookie_name(f"vigil_session_{options.port}")
        self._programs = audit_log.FirstOfMany(again_s=options.session_s)
        self._sign_in = SignIn(self._passwords, self._sessions, cookie_name=self._cookie_name, root=options.root)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # The pages use none, and Gradio's would pass every check made for requests.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = await self._answer(scope, receive)
        await (answer or self._app)(scope, receive, _with_headers(send, is_page=is_start_page("GET", scope["path"])))

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """What is answered instead of the pages; None where the request may go on to them."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        if not self._users:
            refused = _not_local(scope, headers)
            if refused is not None:
                return refused
        if _is_foreign(headers) and not (_is_link(headers) and is_start_page(method, path)):
            return PlainTextResponse(FOREIGN, status_code=403)
        if not is_open(method, path):
            return _nothing_here(scope, self._root)
        if path not in SIGN_IN_PAGES:
            return await self._let_in(scope, headers)
        if not self._users:
            return RedirectResponse(self._root.url("/"), 303)
        return await self._sign_in.answer(Request(scope, receive))

    async def _let_in(self, scope: Scope, headers: Headers) -> Response | None:
        address = _client(scope)
        if not self._users:
            scope["user"], scope["vigil_visitor"] = UnauthenticatedUser(), f"address {address_group(address)}"
            return None
        user = self._sessions.user(Request(scope).cookies.get(self._cookie_name, ""))
        if user is None:
            user, refused = await self._by_password(headers.get("authorization", ""), address)
            if user is None:
                return refused or _ask(scope, headers, self._root)
        scope["user"], scope["vigil_visitor"] = SimpleUser(user), f"user {user}"
        return None

    async def _by_password(self, authorization: str, address: str) -> tuple[str | None, Response | None]:
        """The user of an HTTP Basic header, as programs send it, or what is answered to a wrong one."""
        given = basic_credentials(authorization)
        if given is None:
            return None, None
        name, password = given
        came, wait_s = await self._passwords.attempt(name, password, address=address)
        if came is SignInAttempt.TOO_MANY:
            retry = {"Retry-After": str(max(1, round(wait_s)))}
            return None, PlainTextResponse("too many tries; try again later\n", status_code=429, headers=retry)
        if came is SignInAttempt.WRONG:
            return None, None
        self._programs.say("program let in", user=name, address=address)
        return name, None


def _not_local(scope: Scope, headers: Headers) -> Response | None:
    """Refuses what may come from another machine, where nobody has to know a password."""
    if scope.get("vigil_forwarded") or _is_renamed(headers):
        return PlainTextResponse(
            "these pages have no users, so no proxy may bring visitors here; start them with --auth FILE and "
            "--trusted-proxy ADDRESS\n",
            status_code=403,
        )
    if _host(headers.get("host", "")) in LOCAL_HOSTS:
        return None
    return PlainTextResponse("these pages answer to 127.0.0.1 and localhost only\n", status_code=421)


def _is_renamed(headers: Headers) -> bool:
    """Whether a browser is at home here by its own account, under no name of this machine: a proxy rewrote it."""
    told = headers.get("origin") or headers.get("referer")
    if told is None or headers.get("sec-fetch-site") != "same-origin":
        return False
    return _host(_netloc(told)) not in LOCAL_HOSTS


def _nothing_here(scope: Scope, root: RootPath) -> Response:
    """Says what an operator has to know whose proxy asks for another path than these pages have."""
    advice = ""
    if root.path:
        advice = f"; these pages are below {root.url('/')}"
    elif scope.get("vigil_forwarded"):
        advice = "; where a proxy has a path for these pages, they are started with --root-path PATH"
    return PlainTextResponse(f"there is nothing here{advice}\n", status_code=404)


def _ask(scope: Scope, headers: Headers, root: RootPath) -> Response:
    """Leads a browser to the page to sign in; asks a program for a password.

    A browser is never asked for HTTP Basic: it would send that password along with whatever another site asks of us.
    """
    is_browser = "sec-fetch-mode" in headers or headers.get("user-agent", "").startswith("Mozilla/")
    if is_browser and scope["method"] in {"GET", "HEAD"} and is_start_page("GET", scope["path"]):
        query = scope["query_string"].decode("latin-1")
        place = f"{scope['path']}?{query}" if query else scope["path"]
        return RedirectResponse(f"{root.url('/sign-in')}?next={quote(place, safe='/')}", status_code=303)
    challenge = {} if is_browser else {"WWW-Authenticate": 'Basic realm="Vigil", charset="UTF-8"'}
    needed = f"a name and a password are needed: {root.url('/sign-in')}\n"
    return PlainTextResponse(needed, status_code=401, headers=challenge)


def _with_headers(send: Send, *, is_page: bool) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            for name in UNWANTED_HEADERS:
                del headers[name]
            if is_page:
                headers["Cache-Control"] = "no-store"
        await send(message)

    return add


def _client(scope: Scope) -> str:
    """The address that a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """Name and password of an HTTP Basic header; None for any other."""
    kind, _, encoded = authorization.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (name, password) if colon else None


def _is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a page of another site sends this, or leads here: a browser adds the visitor's cookies to that too.

    Another port of this machine is another site. Browsers that do not say where a request comes from have an Origin in
    what could change something, and a Referer in most of the rest.
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
    """Whether a request is somebody following a link in a tab of their own: no script, picture or frame."""
    if "origin" in headers:
        return False
    if "sec-fetch-site" not in headers:
        return True
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _host(header: str) -> str:
    """The name in a Host header; empty for what no browser writes there."""
    found = HOST.fullmatch(header)
    return found["name"].strip("[]").lower() if found else ""
