"""The ASGI middleware that Vigil adds to each of vLLM's web processes. Runs in vLLM's environment, without Vigil.

vLLM loads it by name, `--middleware vigil_front.Front`, after the user's own: the last one is the outermost.
"""

from typing import Any

import vigil_media  # type: ignore[import-not-found]  # noqa: F401 - registers the connector, in this process too
from vigil_contracts import ContractPage  # type: ignore[import-not-found]
from vigil_guard import App, KeyGuard  # type: ignore[import-not-found]


class Front:
    """ASGI middleware: checks the key, then answers the contract page, then passes the request to vLLM."""

    def __init__(self, app: App) -> None:
        self._app = KeyGuard(ContractPage(app))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)
