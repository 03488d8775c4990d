"""How a served model splits the words of labels, and where an answer tells them apart: asked once, at the start."""

import logging
from collections.abc import Mapping
from typing import Any

import httpx2

from vigil.errors import EndpointError
from vigil.judge.answer import Place, Words
from vigil.judge.bounded import BoundedClient
from vigil.judge.connection import ServedModel, open_http
from vigil.judge.endpoint import Endpoint
from vigil.judge.prompt import CONTINUED, answer_begun
from vigil.label_tokens import Branch, find_branches, indistinct_labels, indistinct_message

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
_ASKED = [{"role": "user", "content": "?"}]


async def find_words(endpoint: Endpoint, texts: Mapping[str, str], model: ServedModel) -> Words:
    """The words of labels as the server's tokenizer splits them; unsplit where it has no `/tokenize`.

    Raises EndpointError when no token tells two of them apart.
    """
    async with open_http(endpoint, timeout_s=TIMEOUT_S) as http:
        tokenizer = _ServedTokenizer(http, endpoint, model)
        words = await _split(tokenizer, texts)
    if words.way != "ids":
        reason = "share a beginning that is no text" if words.ids else "cannot be split, as the server has no /tokenize"
        logger.warning(
            "model %s: the verdict words %s; probabilities are read by the less exact or slower way %r (docs/judge.md)",
            model.name,
            reason,
            words.way,
        )
    return words


async def _split(tokenizer: "_ServedTokenizer", texts: Mapping[str, str]) -> Words:
    ids = {label: await tokenizer.ids_of(text) for label, text in texts.items()}
    if not all(ids.values()):
        return Words(texts=texts)
    for one, other in indistinct_labels(ids):
        raise EndpointError(f"model {tokenizer.model.name}: {indistinct_message(texts[one], texts[other])}")
    places = [await _place(tokenizer, branch) for branch in find_branches(ids)]
    readable = tuple(place for place in places if place is not None)
    return Words(texts=texts, ids=ids, places=readable if len(readable) == len(places) else ())


async def _place(tokenizer: "_ServedTokenizer", branch: Branch) -> Place | None:
    """Where a branch can be read; None when what the words share cannot be put in front of an answer."""
    if not branch.shared_ids:
        return Place("", branch)
    beginning = await tokenizer.text_of(branch.shared_ids)
    if not beginning or await tokenizer.ids_of_answer(beginning) != branch.shared_ids:
        return None
    return Place(beginning, branch)


class _ServedTokenizer:
    """The tokenizer of one model of an endpoint; what it cannot tell is empty."""

    def __init__(self, http: BoundedClient, endpoint: Endpoint, model: ServedModel) -> None:
        self.model = model
        self._http = http
        self._root = endpoint.root

    async def ids_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a plain text."""
        return await self._tokens({"prompt": text, "add_special_tokens": False})

    async def ids_of_answer(self, beginning: str) -> tuple[int, ...]:
        """The tokens of the beginning of an answer where it stands in a conversation."""
        before = await self._tokens({"messages": _ASKED, "add_generation_prompt": True})
        whole = await self._tokens({"messages": answer_begun(_ASKED, beginning)} | CONTINUED)
        return whole[len(before) :] if before and whole[: len(before)] == before else ()

    async def text_of(self, ids: tuple[int, ...]) -> str:
        """The text of tokens."""
        told = await self._post("detokenize", {"tokens": list(ids)})
        text = told.get("prompt")
        return text if isinstance(text, str) else ""

    async def _tokens(self, question: dict[str, Any]) -> tuple[int, ...]:
        tokens = (await self._post("tokenize", question)).get("tokens")
        return tuple(tokens) if isinstance(tokens, list) and all(isinstance(token, int) for token in tokens) else ()

    async def _post(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = await self._http.post(f"{self._root}/{path}", json={"model": self.model.name} | question)
            told = answer.json() if answer.is_success else {}
        except (httpx2.HTTPError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}
