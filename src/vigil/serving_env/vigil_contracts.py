"""Serves `GET /vigil.json`: the contract under which each model was trained. Runs in vLLM's environment, without Vigil.

The contracts of the models that the server was started with are in the file named by `$VIGIL_CONTRACTS`. An adapter
loaded since has its contract in its own folder; frames are read as set at the server's start, not as it says.
"""

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[..., Awaitable[None]]

PAGE = "/vigil.json"
FORMAT = 1
ALIAS_PREFIX = "vigil-contract"
BESIDE = ("answers", "describe")
"""Fields of the contract that a manifest keeps in `training`."""


class ContractPage:
    """ASGI middleware that answers one path and passes all others to vLLM."""

    def __init__(self, app: App) -> None:
        self.app = app
        file = os.environ.get("VIGIL_CONTRACTS", "")
        self._declared = json.loads(Path(file).read_text(encoding="utf-8")) if file else {"sampling": {}, "models": {}}

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == PAGE:
            await self._answer(scope, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, send: Send) -> None:
        cards = await _models(self.app, scope)
        contracts = {str(card["id"]): self._contract(card) for card in cards}
        models = {name: {"contract": contract} for name, contract in contracts.items() if contract}
        body = json.dumps({"format": FORMAT, "models": models}, ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _contract(self, card: dict[str, Any]) -> dict[str, Any] | None:
        models: dict[str, dict[str, Any] | None] = self._declared["models"]
        if card["id"] in models:
            return models[card["id"]]
        if not card.get("parent") or card["id"].startswith(ALIAS_PREFIX):
            return None
        try:
            manifest = json.loads((Path(str(card["root"])) / "vigil.json").read_text(encoding="utf-8"))
            beside = {key: manifest["training"][key] for key in BESIDE if key in manifest["training"]}
            return {**manifest["contract"], **beside, "sampling": self._declared["sampling"]}
        except (OSError, ValueError, LookupError, TypeError):
            return None


async def _models(app: App, scope: Scope) -> list[dict[str, Any]]:
    """The models that vLLM lists now, requested within this process and with the same key."""
    body = bytearray()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        body.extend(message.get("body", b""))

    path = {"path": "/v1/models", "raw_path": b"/v1/models", "query_string": b""}
    await app({**scope, **path}, receive, send)
    listed: list[dict[str, Any]] = json.loads(bytes(body)).get("data", [])
    return listed
