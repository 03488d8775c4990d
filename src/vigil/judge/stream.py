"""One streamed answer: the verdict at its first token, then the words."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from vigil.judge.answer import LabelLogprobs, LabelTokens, label_at_start, parse_label_logprobs
from vigil.judge.transport import ModelClient

STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


@dataclass(slots=True)
class StreamedAnswer:
    """What has arrived of an answer; `complete` once the server said that it was the end.

    `beginning` was put in front of it, and belongs to its text.
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
    words: LabelTokens,
    go_on: Callable[[StreamedAnswer], Awaitable[bool]],
    on_text: Callable[[str], None] | None = None,
) -> None:
    """Fills `answer` as it arrives; stops asking as soon as `go_on`, called once at the verdict, says no."""
    decided = False
    async with aclosing(transport.events({**body, **STREAMED})) as events:
        async for event in events:
            is_first = not answer.pieces
            piece = _take(event, answer, words)
            if piece and on_text is not None:
                on_text(answer.beginning + piece if is_first else piece)
            if not decided and _can_decide(answer, words):
                decided = True
                answer.stopped = not await go_on(answer)
            if answer.stopped:
                return
    if not decided and (answer.pieces or answer.complete):
        answer.stopped = not await go_on(answer)


def _take(event: Mapping[str, Any], answer: StreamedAnswer, words: LabelTokens) -> str:
    answer.tokens = int((event.get("usage") or {}).get("total_tokens") or answer.tokens)
    if not event.get("choices"):
        return ""
    choice = event["choices"][0]
    if answer.mass is None and not answer.pieces and words.is_told_at_once:
        answer.mass = parse_label_logprobs(choice.get("logprobs"), words)
    piece: str = choice["delta"].get("content") or ""
    if piece:
        answer.pieces.append(piece)
    answer.complete = answer.complete or choice.get("finish_reason") is not None
    return piece


def _can_decide(answer: StreamedAnswer, words: LabelTokens) -> bool:
    """With probabilities at once; without them as soon as no further letter can make another word of it."""
    enough = len(answer.text.strip()) >= max(map(len, words.texts.values())) + 2
    return answer.mass is not None or enough or label_at_start(answer.text + "x", words) is not None
