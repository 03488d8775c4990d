"""Looks up how a served model tokenizes the label words, and the token at which they differ."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp

from vigil.errors import EndpointError
from vigil.judge.answer_parser import MAX_TOKEN_IDS, LabelTokens, Place
from vigil.judge.endpoint import Endpoint
from vigil.judge.endpoint_http import EndpointHttp, UnusableAnswerError
from vigil.judge.faults import endpoint_error
from vigil.judge.model_client import CONTINUED, answer_begun, is_transient
from vigil.label_tokens import Branch, LabelIds, find_branches, indistinct_labels, indistinct_message

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
_CONVERSATION = [{"role": "user", "content": "?"}]


async def find_label_tokens(
    endpoint: Endpoint, texts: Mapping[str, str], model: str, *, before: LabelTokens | None = None
) -> LabelTokens:
    """The label words with their tokens in the tokenizer of a served model; without tokens if it has no `/tokenize`.

    `before` is an earlier result, returned if its tokens are unchanged. Raises EndpointError if no token distinguishes
    two words, EndpointUnreachable if the server did not answer.
    """
    async with EndpointHttp(endpoint, deadline_s=TIMEOUT_S) as http:
        return await _split(_ServedTokenizer(http, endpoint, model), texts, before)


def warn_of_method(label_tokens: LabelTokens, model: str) -> None:
    """Logs a warning if the label probabilities are not read by the best method."""
    if label_tokens.method == "ids":
        return
    reason = (
        "share a prefix that is not text" if label_tokens.ids else "cannot be tokenized, as the server has no /tokenize"
    )
    log.warning(
        "model %s: the verdict words %s; probabilities are read by the less exact or slower method %r (docs/judge.md)",
        model,
        reason,
        label_tokens.method,
    )


async def _split(tokenizer: "_ServedTokenizer", texts: Mapping[str, str], before: LabelTokens | None) -> LabelTokens:
    split = await asyncio.gather(*map(tokenizer.ids_of, texts.values()))
    ids = dict(zip(texts, split, strict=True))
    if before is not None and before.ids == ids:
        return before
    if not all(ids.values()):
        return LabelTokens(texts=texts)
    for one, other in indistinct_labels(ids):
        raise EndpointError(f"model {tokenizer.model}: {indistinct_message(texts[one], texts[other])}")
    places = [await _place(tokenizer, branch) for branch in find_branches(ids)]
    readable = tuple(place for place in places if place is not None)
    if len(readable) < len(places):
        return LabelTokens(texts=texts, ids=ids)
    if len(readable) == 1 and not readable[0].beginning:
        readable = (replace(readable[0], also=await _other_spellings(tokenizer, texts, ids)),)
    return LabelTokens(texts=texts, ids=ids, places=readable)


async def _other_spellings(
    tokenizer: "_ServedTokenizer", texts: Mapping[str, str], ids: LabelIds
) -> dict[str, tuple[int, ...]]:
    """Tokens that spell the whole of a one-token word in another case, or with a leading space."""
    if not LabelTokens(texts=texts).fold:
        return {}
    taken = {token for word in ids.values() for token in word[:1]}
    also = {
        label: await _spellings(tokenizer, text, taken)
        for label, text in texts.items()
        # A single letter is a different word in the other case: the option A and the article a.
        if len(ids[label]) == 1 and len(text) > 1 and text.upper() != text.lower()
    }
    others = Counter(token for tokens in also.values() for token in tokens)
    found = {label: tuple(sorted(token for token in tokens if others[token] == 1)) for label, tokens in also.items()}
    return found if len(taken) + sum(map(len, found.values())) <= MAX_TOKEN_IDS else {}


async def _spellings(tokenizer: "_ServedTokenizer", text: str, taken: set[int]) -> set[int]:
    cased = {text, text.lower(), text.upper(), text.capitalize()}
    spelt = sorted((cased | {f" {word}" for word in cased}) - {text})
    splits = await asyncio.gather(*map(tokenizer.ids_of, spelt))
    return {split[0] for split in splits if len(split) == 1} - taken


async def _place(tokenizer: "_ServedTokenizer", branch: Branch) -> Place | None:
    """The place at which a branch can be read; None if the shared prefix cannot be put in front of an answer."""
    if not branch.shared_ids:
        return Place("", branch)
    beginning = await tokenizer.text_of(branch.shared_ids)
    if not beginning or await tokenizer.ids_of_answer(beginning) != branch.shared_ids:
        return None
    return Place(beginning, branch)


class _ServedTokenizer:
    """The tokenizer of one served model; methods return empty values if the server cannot answer."""

    def __init__(self, http: EndpointHttp, endpoint: Endpoint, model: str) -> None:
        self.model = model
        self._http = http
        self._endpoint = endpoint

    async def ids_of(self, text: str) -> tuple[int, ...]:
        """The token ids of plain text."""
        return await self._tokens({"prompt": text, "add_special_tokens": False})

    async def ids_of_answer(self, beginning: str) -> tuple[int, ...]:
        """The token ids of an answer's prefix in the context of a conversation."""
        before = await self._tokens({"messages": _CONVERSATION, "add_generation_prompt": True})
        whole = await self._tokens({"messages": answer_begun(_CONVERSATION, beginning)} | CONTINUED)
        return whole[len(before) :] if before and whole[: len(before)] == before else ()

    async def text_of(self, ids: tuple[int, ...]) -> str:
        """The text of token ids."""
        response = await self._post("detokenize", {"tokens": list(ids)})
        text = response.get("prompt")
        return text if isinstance(text, str) else ""

    async def _tokens(self, question: dict[str, Any]) -> tuple[int, ...]:
        tokens = (await self._post("tokenize", question)).get("tokens")
        return tuple(tokens) if isinstance(tokens, list) and all(isinstance(token, int) for token in tokens) else ()

    async def _post(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        """The server's JSON answer; empty if it does not support the request.

        Raises EndpointError if the server is temporarily unavailable.
        """
        try:
            answer = await self._http.post(f"{self._endpoint.root}/{path}", {"model": self.model} | question)
        except UnusableAnswerError:
            return {}
        except (aiohttp.ClientError, TimeoutError) as error:
            raise endpoint_error(error, self._endpoint.url, has_answered=True) from error
        if is_transient(answer.status):
            refusal = answer.error()
            raise endpoint_error(refusal, self._endpoint.url) from refusal
        try:
            response = answer.json() if answer.is_success else {}
        except ValueError:
            return {}
        return response if isinstance(response, dict) else {}
