"""A reverse proxy as operators put one before the pages: a real server at a port of this machine, in a thread.

    with reverse_proxy(site.url, below="/vigil", strips=True) as proxy:
        ...                       # the pages are at proxy.url
        assert proxy.outside == []

It streams both ways and ends what a browser has left. `strips` takes the path off before it asks the site, as nginx
does with `proxy_pass http://up/;`; without it the path is left. What is asked for beside the path is another site's.
"""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

from vigil.serving.server import free_port
from waiting import HANG_S

OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
REFUSALS = frozenset({400, 403, 404, 405, 421, 500, 502})
CLOSING_S = 0.1
"""Sockets are closed a turn or two of the loop after it is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a proxy passes requests on: whether `Host` stays what the browser said, and what it tells beside it."""

    strips: bool
    keeps_host: bool = True
    tells: tuple[str, ...] = ("For", "Proto")


@dataclass
class ReverseProxy:
    """What went through a proxy; `url` is where a browser finds the pages."""

    site: str
    below: str
    way: Way
    host: str
    answers: list[tuple[str, str, int]] = field(default_factory=list)
    """Method, path with its query, and status of all that the site was asked."""

    outside: list[str] = field(default_factory=list)
    """What was asked for that is not below the path."""

    @property
    def url(self) -> str:
        return f"{self.host}{self.below}/"

    def refusals(self) -> list[tuple[str, str, int]]:
        """What the site did not answer."""
        return [answer for answer in self.answers if answer[2] in REFUSALS]

    async def answer(self, request: web.Request, session: ClientSession) -> web.StreamResponse:
        """One request, passed on as it comes and answered as the answer comes."""
        path = request.raw_path
        if not path.startswith(f"{self.below}/"):
            self.outside.append(f"{request.method} {path}")
            return web.Response(status=404, text="another site is here\n")
        asked = path.removeprefix(self.below) if self.way.strips else path
        async with session.request(
            request.method,
            URL(self.site.rstrip("/") + asked, encoded=True),
            headers=self._headers(request),
            data=request.content.iter_any() if request.can_read_body else None,
            allow_redirects=False,
        ) as told:
            self.answers.append((request.method, path, told.status))
            answer = web.StreamResponse(status=told.status, headers=_kept(told.headers))
            await answer.prepare(request)
            async for piece in told.content.iter_any():
                await answer.write(piece)
            await answer.write_eof()
            return answer

    def _headers(self, request: web.Request) -> CIMultiDict[str]:
        headers = _kept(request.headers)
        if not self.way.keeps_host:
            del headers["Host"]
        told = {"For": request.remote or "", "Proto": request.scheme, "Host": request.host}
        headers.update({f"X-Forwarded-{name}": told[name] for name in self.way.tells})
        return headers


def _kept(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in OF_ONE_CONNECTION)


@contextmanager
def reverse_proxy(site: str, *, below: str, way: Way, tls: ssl.SSLContext | None = None) -> Iterator[ReverseProxy]:
    """A proxy before a site, while the block lasts."""
    port = free_port()
    proxy = ReverseProxy(site, below, way, f"{'http' if tls is None else 'https'}://127.0.0.1:{port}")
    up, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with _listening(proxy, port, tls):
            up.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        assert up.wait(HANG_S), "the proxy does not listen"
        yield proxy
    finally:
        over.set()
        thread.join(HANG_S)
        assert not thread.is_alive(), "the proxy does not end"


@asynccontextmanager
async def _listening(proxy: ReverseProxy, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[None]:
    session = ClientSession(
        connector=TCPConnector(limit=0),
        timeout=ClientTimeout(total=None),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        return await proxy.answer(request, session)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        yield
    finally:
        # With TLS a browser would be waited for, which is in no hurry to say goodbye.
        for connection in runner.server.connections if runner.server else []:
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()
        await session.close()
        await asyncio.sleep(CLOSING_S)
