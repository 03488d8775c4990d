"""The serving side of a comparison: the prompt tokens of the judge's request, and the processed pixels."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from vigil.environments import environment
from vigil.errors import EndpointError, EndpointUnreachable, EnvironmentMissing, UsageError
from vigil.judge.declared_contracts import fetch_declared_contracts
from vigil.judge.discovery import require_one_model
from vigil.judge.endpoint import Endpoint
from vigil.judge.endpoint_http import EndpointHttp, UnusableAnswerError
from vigil.judge.error_pages import not_json
from vigil.judge.faults import endpoint_error, retry_while_busy
from vigil.judge.model_client import chat_messages
from vigil.manifest import ALIAS_PREFIX
from vigil.models import family_in
from vigil.parity.examples import Example
from vigil.parity.trained import PixelDigest, run_in_environment
from vigil.serving.command import INSIDE

IN_FLIGHT = 8
TIMEOUT_S = 600.0
"""For one answer: on two cores a model of 2B parameters takes ten seconds a prompt, and eight are in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSide:
    """The served model, and the folder of its complete weights (None if it is on another machine).

    `context` is its context length in tokens, if the server reports it.
    """

    model: str
    alias: str
    folder: Path | None
    context: int | None = None


class TokenizeClient:
    """Queries one server by plain HTTP, because a client library might alter what is compared."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._http = EndpointHttp(endpoint, deadline_s=TIMEOUT_S)

    async def __aenter__(self) -> "TokenizeClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def find_model(self) -> ServedSide:
        """Returns the named model, or the only one; raises EndpointError if there is no such model."""
        cards = (await self._json(f"{self.endpoint.url}/models")).get("data", [])
        plain = [card for card in cards if not card["id"].startswith(ALIAS_PREFIX)]
        names = [card["id"] for card in plain]
        if not self.endpoint.model:
            require_one_model({card["id"]: card.get("root") for card in plain}, self.endpoint)
        name = self.endpoint.model or next(iter(names), "")
        if name not in names:
            raise EndpointError(f"{self.endpoint.url} has no model {name!r}; it serves {', '.join(names) or 'none'}")
        card = plain[names.index(name)]
        roots = {other["id"]: other.get("root") for other in cards}
        whole = Path(str(roots.get(card.get("parent") or name) or ""))
        same = [c["id"] for c in cards if c["id"].startswith(ALIAS_PREFIX) and c.get("root") == card.get("root")]
        folder = whole if (whole / "config.json").is_file() else None
        contract = (await retry_while_busy(partial(fetch_declared_contracts, self.endpoint, self._http))).get(name)
        alias = contract.alias if contract is not None else next(iter(same), "")
        context = card.get("max_model_len")
        return ServedSide(model=name, alias=alias, folder=folder, context=context)

    async def prompt_ids(
        self, examples: Sequence[Example], *, model: str, fps: float, on_done: Callable[[], None]
    ) -> list[tuple[int, ...]]:
        """Returns the server's prompt tokens of each example, requested as the judge does (one generated token)."""
        room = asyncio.Semaphore(IN_FLIGHT)

        async def ask(example: Example) -> tuple[int, ...]:
            async with room:
                ids = await self._ids_of(example, model=model, fps=fps)
            on_done()
            return ids

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(example)) for example in examples]
        except ExceptionGroup as several:
            raise several.exceptions[0] from several
        return [task.result() for task in tasks]

    async def text(self, ids: Sequence[int], *, model: str) -> str:
        """Returns the text of tokens, or their numbers if the server has no /detokenize."""
        try:
            answer = await self._json(f"{self.endpoint.root}/detokenize", {"model": model, "tokens": list(ids)})
            return str(answer["prompt"])
        except EndpointUnreachable:
            raise
        except (EndpointError, KeyError):
            return " ".join(map(str, ids))

    async def _ids_of(self, example: Example, *, model: str, fps: float) -> tuple[int, ...]:
        body = {
            "model": model,
            "messages": chat_messages(example.jpegs, example.question, media="video", fps=fps),
            "max_tokens": 1,
            "temperature": 0.0,
            "return_token_ids": True,
        }
        answer = await self._json(f"{self.endpoint.url}/chat/completions", body)
        ids = answer.get("prompt_token_ids")
        if not ids:
            raise EndpointError(
                f"{self.endpoint.url} does not tell its prompt tokens (it ignores return_token_ids); parity can only "
                "be checked against vLLM, version 0.11 or later"
            )
        return tuple(int(token) for token in ids)

    async def _json(self, url: str, body: Any = None) -> dict[str, Any]:
        """Returns the server's JSON response; transient failures are retried for a while; raises EndpointError."""
        return await retry_while_busy(partial(self._answer, url, body))

    async def _answer(self, url: str, body: Any) -> dict[str, Any]:
        try:
            answer = await (self._http.get(url) if body is None else self._http.post(url, body))
        except (aiohttp.ClientError, TimeoutError, UnusableAnswerError) as error:
            raise endpoint_error(error, url) from error
        if not answer.is_success:
            refusal = answer.error()
            raise endpoint_error(refusal, url) from refusal
        try:
            data: dict[str, Any] = answer.json()
        except ValueError as error:
            raise EndpointError(f"{url}: {not_json(answer.text)}; is it an OpenAI-compatible endpoint?") from error
        return data


async def served_pictures(
    examples: Sequence[Example], *, model_dir: Path, context: int, fps: float, work: Path
) -> list[PixelDigest] | None:
    """Returns the pixels of vLLM's processor with the sizes of `vllm.sh`; None without the serving environment.

    `context` is the served context length in tokens, `fps` the frame rate from which the frame times are derived.
    """
    try:
        runtime = environment("serve")
    except EnvironmentMissing:
        return None
    family = family_in(model_dir)
    request, answer = work / "frames.json", work / "served.json"
    videos = [[str(frame.absolute()) for frame in example.frames] for example in examples]
    question = {
        "model": str(model_dir.absolute()),
        "videos_kwargs": {"size": family.video_size(context)},
        "videos": videos,
        "positions": fps if family.counts_seconds else None,
    }
    request.write_text(json.dumps(question), encoding="utf-8")
    script = INSIDE / "vigil_pixels.py"
    await run_in_environment(runtime.program("python"), script, request, answer, variables=runtime.variables())
    return [PixelDigest.from_record(entry) for entry in json.loads(answer.read_text(encoding="utf-8"))]


def checkpoint_folder(served: ServedSide, named: Path | None) -> Path:
    """Returns the folder whose tokenizer and processor are compared; raises UsageError if it is unknown."""
    folder = named or served.folder
    if folder is None:
        raise UsageError(
            f"the server's model {served.model} lies on another machine; name its folder here with --model-dir"
        )
    return folder
