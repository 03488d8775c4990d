"""Reads the probability of each label from the log probabilities in a server's answer, whole or streamed.

p = P(label) / P(all labels), where a label's probability is read at the token at which its word differs from the
others' (`vigil.label_tokens`). vLLM reports raw log probabilities, before any grammar or sampling, so the probability
outside the labels remains visible.

There are three methods (`LabelTokens.method`); the best one that the server supports is used:

- `ids`: `logprob_token_ids` asks for exactly the deciding tokens, in one request of one token. A prefix that all words
  share is put in front of the answer. If only some of several words share a prefix, each prefix is one more request.
- `sequences`: for a shared prefix that is not valid text (it ends within a character). Each word is appended to the
  prompt and the log probabilities of its tokens are summed (`prompt_logprobs`), in one request per word.
- `top`: for servers without `/tokenize`. The words are looked up among the 20 most likely first tokens. A word that is
  missing gets the highest probability it can have: that of the last reported token, or what remains of 1.

`stream_answer` reads a streamed answer: the verdict at its first token, then the description.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import openai

from vigil.calibration import sigmoid
from vigil.judge.model_client import CONTINUED, Message, ModelClient, answer_begun
from vigil.label_tokens import Branch
from vigil.questions import starts_with_word

LogprobMethod: TypeAlias = Literal["ids", "sequences", "top"]

TOP_LOGPROBS = 20
"""The maximum that the OpenAI API allows."""

MIN_LOGPROB = -30.0
"""Used for a token that the server left out of the most likely ones, or reported as minus infinity."""

ROUNDING = 1e-3
"""How far above 0 a log probability may lie because of a server's rounding."""


TOLERANCE = 0.05
"""By how much a token's log probability may be below the maximum if the token was still chosen, because of rounding."""

MAX_TOKEN_IDS = 128
"""The maximum number of token ids in one request to vLLM."""


@dataclass(frozen=True, slots=True)
class Place:
    """A branch that one request can read, and the text put in front of the answer (empty if no prefix is shared).

    `also` holds, by label, tokens that spell its word differently (yes, YES, with a leading space) and count for it.
    """

    beginning: str
    branch: Branch
    also: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def ids(self) -> dict[str, tuple[int, ...]]:
        """The token ids of each label."""
        return {label: (token, *self.also.get(label, ())) for label, token in self.branch.next_id.items()}

    @property
    def token_ids(self) -> list[int]:
        """The token ids to request, each once."""
        return list(dict.fromkeys([*self.branch.token_ids, *(token for ids in self.also.values() for token in ids)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTokens:
    """The word of each label, and its token ids in the served model's tokenizer.

    `ids` is empty if the server has no `/tokenize`; `places` is empty if a shared prefix cannot be put in front.
    """

    texts: Mapping[str, str]
    ids: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    places: tuple[Place, ...] = ()

    @property
    def method(self) -> LogprobMethod:
        """The method by which probabilities are read from this server."""
        if not self.ids:
            return "top"
        return "ids" if self.places else "sequences"

    @property
    def place(self) -> Place | None:
        """The single place that distinguishes all labels; None if there are several places or none."""
        return self.places[0] if len(self.places) == 1 else None

    @property
    def is_single_request(self) -> bool:
        """Whether a single answer contains everything the verdict needs."""
        return self.method == "top" or self.place is not None

    @property
    def fold(self) -> bool:
        """Whether case can be ignored: no two words differ only in case."""
        return len({text.casefold() for text in self.texts.values()}) == len(self.texts)

    @property
    def beginning(self) -> str:
        """The text put in front of an answer so that its first token distinguishes all labels; nearly always empty."""
        return self.place.beginning if self.place else ""


@dataclass(frozen=True, slots=True)
class LabelLogprobs:
    """The log probability of each label, before calibration.

    `favoured` holds the labels that the most likely of all their tokens spells; empty if several tokens decide.
    """

    logprobs: Mapping[str, float]
    favoured: frozenset[str] = frozenset()

    def contradicts(self, label: str) -> bool:
        """Whether an answer that spells `label` is inconsistent with these probabilities."""
        return bool(self.favoured) and label not in self.favoured

    def probability(self, label: str) -> float:
        """P(label) / P(all labels), uncalibrated."""
        others = [logprob for other, logprob in self.logprobs.items() if other != label]
        return sigmoid(self.logprobs[label] - _log_sum(others))

    @property
    def outside(self) -> float:
        """The probability of everything except the labels."""
        return max(0.0, 1.0 - sum(math.exp(min(0.0, logprob)) for logprob in self.logprobs.values()))


def logprob_options(place: Place | None) -> dict[str, Any]:
    """The request fields that make the server report the tokens of a place; without a place, the most likely tokens."""
    if place is None:
        return {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    return {"logprobs": True, "logprob_token_ids": place.token_ids, "return_tokens_as_token_ids": True}


def parse_logprob(value: Any) -> float:
    """A log probability reported by a server, at least LEAST_LOGPROB; raises ValueError if it is not one."""
    logprob = float(value)
    if math.isnan(logprob) or logprob > ROUNDING:
        raise ValueError(f"the answer holds {value!r}, which is not a log probability")
    return min(0.0, max(logprob, MIN_LOGPROB))


def parse_label_logprobs(logprobs: Mapping[str, Any] | None, label_tokens: LabelTokens) -> LabelLogprobs | None:
    """The label log probabilities in the `logprobs` of one answer; None if the server reported none."""
    if label_tokens.place is None:
        return _read_top(_reported(logprobs), label_tokens)
    read = read_place(logprobs, label_tokens.place)
    mass = combine_places([read], label_tokens)
    return None if mass is None else replace(mass, favoured=_favoured(_found(logprobs, label_tokens.place)))


def _found(logprobs: Mapping[str, Any] | None, place: Place) -> dict[str, list[float]]:
    reported = _reported(logprobs)
    tokens = {label: [f"token_id:{token}" for token in ids] for label, ids in place.ids.items()}
    return {label: [reported[name] for name in names if name in reported] for label, names in tokens.items()}


def _favoured(found: Mapping[str, Sequence[float]]) -> frozenset[str]:
    likeliest = {label: max(logprobs) for label, logprobs in found.items() if logprobs}
    most = max(likeliest.values(), default=0.0)
    return frozenset(label for label, logprob in likeliest.items() if logprob >= most - TOLERANCE)


def read_place(logprobs: Mapping[str, Any] | None, place: Place) -> dict[str, float] | None:
    """The log probability of each label's next token at a place; None if the server reported none of them."""
    found = _found(logprobs, place)
    if not any(found.values()):
        return None
    return {label: _log_sum(values) if values else MIN_LOGPROB for label, values in found.items()}


def combine_places(read: Sequence[Mapping[str, float] | None], label_tokens: LabelTokens) -> LabelLogprobs | None:
    """The label log probabilities combined from all places; None if one of the places has none."""
    places = [place for place in read if place is not None]
    if not places or len(places) < len(read):
        return None
    return LabelLogprobs({label: sum(place.get(label, 0.0) for place in places) for label in label_tokens.texts})


def _reported(logprobs: Mapping[str, Any] | None) -> dict[str, float]:
    content = (logprobs or {}).get("content")
    entries = content[0].get("top_logprobs") if content else None
    return {entry["token"]: parse_logprob(entry["logprob"]) for entry in entries or []}


def _read_top(reported: Mapping[str, float], label_tokens: LabelTokens) -> LabelLogprobs | None:
    matching: dict[str, list[float]] = {label: [] for label in label_tokens.texts}
    for token, logprob in reported.items():
        labels = [
            label
            for label, word in label_tokens.texts.items()
            if _may_begin(token.strip(), word, fold=label_tokens.fold)
        ]
        if len(labels) == 1:  # a prefix of several words is evidence for none
            matching[labels[0]].append(logprob)
    if not any(matching.values()):
        return None
    missing = _highest_unreported(reported)
    logprobs = {label: _log_sum(found) if found else missing for label, found in matching.items()}
    return LabelLogprobs(logprobs, _favoured(matching))


def _may_begin(token: str, word: str, *, fold: bool) -> bool:
    """Whether the word starts with the token, or the token starts with the whole word."""
    if fold:
        token, word = token.casefold(), word.casefold()
    return bool(token) and (word.startswith(token) or starts_with_word(token, word))


def _log_sum(logprobs: Iterable[float]) -> float:
    return math.log(sum(map(math.exp, logprobs)))


def _highest_unreported(reported: Mapping[str, float]) -> float:
    """The highest log probability that a token can have which is not among the reported ones."""
    left = 1.0 - sum(map(math.exp, reported.values()))
    return max(MIN_LOGPROB, min(*reported.values(), math.log(left) if left > 0 else MIN_LOGPROB, 0.0))


def label_at_start(text: str, label_tokens: LabelTokens) -> str | None:
    """The label whose word the answer starts with (a whole word; quotes, spaces and case are ignored); None if none."""
    plain = _plain(text, label_tokens)
    longest_first = sorted(label_tokens.texts.items(), key=lambda item: -len(item[1]))
    return next((label for label, word in longest_first if starts_with_word(plain, _cased(word, label_tokens))), None)


def spelled(text: str, label_tokens: LabelTokens) -> str | None:
    """The label whose word a first token spells or begins; None if it is no label's, or several labels'."""
    plain = _plain(text, label_tokens)
    begun = [
        label for label, word in label_tokens.texts.items() if plain and _cased(word, label_tokens).startswith(plain)
    ]
    return label_at_start(text, label_tokens) or (begun[0] if len(begun) == 1 else None)


def _plain(text: str, label_tokens: LabelTokens) -> str:
    return _cased(text.lstrip(" \t\r\n\"'“”‘’「」*#"), label_tokens)


def _cased(text: str, label_tokens: LabelTokens) -> str:
    return text.casefold() if label_tokens.fold else text


async def score_label_sequences(
    client: openai.AsyncOpenAI, model: str, messages: Sequence[Message], label_tokens: LabelTokens
) -> LabelLogprobs | None:
    """The log probabilities of all labels, in one request per label; None if the server reports none."""
    requests = (
        _sequence_logprob(client, model, messages, word, label_tokens.ids[label])
        for label, word in label_tokens.texts.items()
    )
    logprobs = dict(zip(label_tokens.texts, await asyncio.gather(*requests), strict=True))
    found = {label: logprob for label, logprob in logprobs.items() if logprob is not None}
    return LabelLogprobs(found) if len(found) == len(logprobs) else None


async def _sequence_logprob(
    client: openai.AsyncOpenAI, model: str, messages: Sequence[Message], word: str, ids: Sequence[int]
) -> float | None:
    answer = await client.chat.completions.create(
        model=model,
        messages=answer_begun(messages, word),  # type: ignore[arg-type]
        max_tokens=1,
        temperature=0.0,
        extra_body={"prompt_logprobs": 0} | CONTINUED,
    )
    reported: list[dict[str, Any] | None] | None = getattr(answer, "prompt_logprobs", None)
    if not reported or len(reported) < len(ids):
        return None
    tail = reported[len(reported) - len(ids) :]
    found = [(entry or {}).get(str(token), {}).get("logprob") for entry, token in zip(tail, ids, strict=True)]
    logprobs = [parse_logprob(value) for value in found if value is not None]
    return sum(logprobs) if len(logprobs) == len(ids) else None


STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


@dataclass(slots=True)
class StreamedAnswer:
    """The part of a streamed answer that has arrived; `complete` once the server has finished it.

    `beginning` was put in front of the answer and is part of its text.
    """

    beginning: str = ""
    mass: LabelLogprobs | None = None
    pieces: list[str] = field(default_factory=list)
    tokens: int = 0
    complete: bool = False
    stopped: bool = False

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return self.beginning + "".join(self.pieces)


async def stream_answer(
    transport: ModelClient,
    answer: StreamedAnswer,
    *,
    body: Mapping[str, Any],
    label_tokens: LabelTokens,
    go_on: Callable[[StreamedAnswer], Awaitable[bool]],
    on_text: Callable[[str], None] | None = None,
) -> None:
    """Fills `answer` as it arrives; stops if `go_on`, called once when the verdict is known, returns False."""
    decided = False
    async with aclosing(transport.events({**body, **STREAMED})) as events:
        async for event in events:
            is_first = not answer.pieces
            piece = _take(event, answer, label_tokens)
            if piece and on_text is not None:
                on_text(answer.beginning + piece if is_first else piece)
            if not decided and _can_decide(answer, label_tokens):
                decided = True
                answer.stopped = not await go_on(answer)
            if answer.stopped:
                return
    if not decided and (answer.pieces or answer.complete):
        answer.stopped = not await go_on(answer)


def _take(event: Mapping[str, Any], answer: StreamedAnswer, label_tokens: LabelTokens) -> str:
    answer.tokens = int((event.get("usage") or {}).get("total_tokens") or answer.tokens)
    if not event.get("choices"):
        return ""
    choice = event["choices"][0]
    if answer.mass is None and not answer.pieces and label_tokens.is_single_request:
        answer.mass = parse_label_logprobs(choice.get("logprobs"), label_tokens)
    piece: str = choice["delta"].get("content") or ""
    if piece:
        answer.pieces.append(piece)
    answer.complete = answer.complete or choice.get("finish_reason") is not None
    return piece


def _can_decide(answer: StreamedAnswer, label_tokens: LabelTokens) -> bool:
    """True once there are probabilities, or without them as soon as no further character can change the word."""
    enough = len(answer.text.strip()) >= max(map(len, label_tokens.texts.values()), default=0) + 2
    return answer.mass is not None or enough or label_at_start(answer.text + "x", label_tokens) is not None
