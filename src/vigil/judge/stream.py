"""One streamed answer: the verdict at its first token, then the words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai

from vigil.judge.answer import Mass, Words, read_mass, request_options, word_at_start
from vigil.judge.prompt import Message


@dataclass(slots=True)
class StreamedAnswer:
    """What has arrived of an answer; `complete` once the server said that it was the end."""

    mass: Mass | None = None
    pieces: list[str] = field(default_factory=list)
    complete: bool = False
    stopped: bool = False

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return "".join(self.pieces)


async def stream_answer(
    client: openai.AsyncOpenAI,
    answer: StreamedAnswer,
    *,
    model: str,
    asked: Sequence[Message],
    words: Words,
    max_tokens: int,
    go_on: Callable[[StreamedAnswer], bool],
    on_text: Callable[[str], None] | None = None,
) -> None:
    """Fills `answer` as it arrives; stops asking as soon as `go_on`, called once at the verdict, says no."""
    stream: Any = await client.chat.completions.create(
        model=model,
        messages=asked,  # type: ignore[arg-type]
        max_tokens=max_tokens,
        temperature=0.0,
        stream=True,
        **request_options(words),
    )
    decided = False
    async with stream:
        async for chunk in stream:
            piece = _take(chunk, answer, words)
            if piece and on_text is not None:
                on_text(piece)
            if not decided and _can_decide(answer, words):
                decided = True
                answer.stopped = not go_on(answer)
            if answer.stopped:
                return
    if not decided:
        answer.stopped = not go_on(answer)


def _take(chunk: Any, answer: StreamedAnswer, words: Words) -> str:
    if not chunk.choices:
        return ""
    choice = chunk.choices[0]
    if answer.mass is None and not answer.pieces:
        answer.mass = read_mass(choice.logprobs.to_dict() if choice.logprobs else None, words)
    piece = choice.delta.content or ""
    if piece:
        answer.pieces.append(piece)
    answer.complete = answer.complete or choice.finish_reason is not None
    return piece


def _can_decide(answer: StreamedAnswer, words: Words) -> bool:
    """With probabilities at once; without them as soon as the text is longer than either word."""
    enough = len(answer.text.strip()) >= max(len(words.alarm), len(words.normal)) + 2
    return answer.mass is not None or enough or word_at_start(answer.text, words) is not None
