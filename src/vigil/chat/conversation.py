"""The turns of a conversation, and the request they make: what was attached stays as far as the model can take it.

The newest look is always shown. Older ones follow from new to old while they fit; one that no longer does is left
out with a word in its place, so that the model is not asked about what it cannot see.

The streamed answer to a conversation; closing the stream ends the server's work.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Self

from vigil.chat.attachment import Attachment
from vigil.errors import EndpointError, UsageError
from vigil.frames import FrameSampling
from vigil.judge.certificates import tls_fault
from vigil.judge.endpoint import Endpoint
from vigil.judge.faults import REPLY_FAULTS, cause_of, detail_of
from vigil.judge.model_client import Message, ModelClient, image_parts, video_part
from vigil.models import family_reading
from vigil.models.tokens import TURN_TOKENS, group_tokens, text_tokens
from vigil.verdict import Cause

LEFT_OUT = "(What was shown here is left out now.)"
MOST_FRAMES = 256
"""Of one video, whatever the context: more costs seconds of decoding and tells little."""

DEFAULT_CONTEXT = 4096
"""Where the server does not tell its context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextLimits:
    """What one request may hold: tokens in all, tokens kept free for the answer, pictures and videos."""

    context: int = DEFAULT_CONTEXT
    answer: int = 512
    pictures: int = 16
    videos: int = 4

    @property
    def prompt(self) -> int:
        """Tokens that the prompt may take."""
        return self.context - self.answer

    def most_frames(self, sampling: FrameSampling, *, beside: str = "") -> int:
        """Frames of one video that fit beside a question, in three quarters of the room; whole groups, at least one."""
        family = family_reading(sampling)
        around = TURN_TOKENS + family.video_overhead_tokens + family.system_overhead_tokens
        room = (self.prompt - around - text_tokens(beside)) * 3 // 4
        groups = room // group_tokens(family, sampling.max_pixels)
        return min(MOST_FRAMES, family.frames_per_group * max(1, groups))


@dataclass(slots=True, eq=False)
class ChatTurn:
    """One question, what it shows, and its answer (empty while there is none)."""

    question: str
    look: Attachment | None = None
    answer: str = ""


@dataclass(slots=True)
class Conversation:
    """The turns so far, oldest first."""

    turns: list[ChatTurn] = field(default_factory=list)

    def ask(self, question: str, look: Attachment | None = None) -> ChatTurn:
        """Adds a question; raises UsageError when it is empty."""
        if not question.strip():
            raise UsageError("the question is empty; write what you want to know")
        self.turns.append(ChatTurn(question.strip(), look))
        return self.turns[-1]

    def rephrased(self, question: str) -> "Conversation":
        """The same conversation with its newest question put otherwise, and not answered yet."""
        return Conversation([*self.turns[:-1], ChatTurn(question, self.turns[-1].look)])

    def take_back(self) -> ChatTurn | None:
        """Removes the newest turn, as one that got no answer must not stay."""
        return self.turns.pop() if self.turns else None

    def messages(self, limits: ContextLimits) -> list[Message]:
        """The request's messages: the newest question and the newest look, then what else fits, from new to old.

        Raises UsageError when those two alone do not fit.
        """
        room = _Room(limits)
        order = self._by_importance()
        must = 2 if len(order) > 1 and order[1].look is not None and order[0].look is None else 1
        kept: dict[ChatTurn, Attachment | None] = {}
        for rank, turn in enumerate(order):
            text_fits, look_fits = room.take(turn)
            if rank < must and not (text_fits and look_fits):
                raise UsageError(
                    f"the question with what it shows does not fit the model's context ({limits.context} tokens, "
                    f"{limits.answer} of them for the answer); shorten the question, or ask for a shorter answer"
                )
            if not text_fits:
                break
            kept[turn] = turn.look if look_fits else None
        shown = [_messages_of(turn, kept[turn]) for turn in self.turns if turn in kept]
        return [message for messages in shown for message in messages]

    def _by_importance(self) -> list[ChatTurn]:
        """The newest turn, the one with the newest look, then the others from new to old."""
        newest_first = self.turns[::-1]
        looking = [turn for turn in newest_first if turn.look is not None]
        first = dict.fromkeys([*newest_first[:1], *looking[:1]])
        return [*first, *(turn for turn in newest_first if turn not in first)]


@dataclass(slots=True)
class _Room:
    """What is left of the limits."""

    limits: ContextLimits
    taken: int = 0
    pictures: int = 0
    videos: int = 0

    def take(self, turn: ChatTurn) -> tuple[bool, bool]:
        """Takes what fits of a turn; whether its words did, and its look (or it has none)."""
        if self.taken + _text_tokens(turn) > self.limits.prompt:
            return False, False
        self.taken += _text_tokens(turn)
        look = turn.look
        if look is None:
            return True, True
        moving = int(look.is_moving)
        if (
            self.taken + look.tokens > self.limits.prompt
            or self.videos + moving > self.limits.videos
            or self.pictures + 1 - moving > self.limits.pictures
        ):
            return True, False
        self.taken += look.tokens
        self.videos += moving
        self.pictures += 1 - moving
        return True, True


def _text_tokens(turn: ChatTurn) -> int:
    return TURN_TOKENS + text_tokens(turn.question) + text_tokens(turn.answer)


def _messages_of(turn: ChatTurn, look: Attachment | None) -> list[Message]:
    parts: list[dict[str, Any]] = [] if look is None else _parts(look)
    lost = turn.look is not None and look is None
    text = f"{LEFT_OUT}\n{turn.question}" if lost else _with_times(turn.question, look)
    content: Any = [*parts, {"type": "text", "text": text}] if parts else text
    asked: Message = {"role": "user", "content": content}
    return [asked, {"role": "assistant", "content": turn.answer}] if turn.answer else [asked]


def _parts(look: Attachment) -> list[dict[str, Any]]:
    if look.is_moving:
        return [video_part(look.jpegs)]
    return image_parts(look.jpegs, fps=1.0)[1:]


def _with_times(question: str, look: Attachment | None) -> str:
    """The question; with the true times where the frames are not those that the server believes them to be."""
    if look is None or not (look.is_stretched or look.is_part):
        return question
    return (
        f"{question}\n({len(look.jpegs)} frames, {look.spacing_s:.1f} s apart, "
        f"from {look.start_s:.1f} s to {look.end_s:.1f} s of the video)"
    )


ADVICE = {
    Cause.UNREACHABLE: "start a server with `./vllm.sh MODEL_DIR`, or wait until it is up",
    Cause.UNAUTHORIZED: "put the server's key into $VIGIL_API_KEY or name it with --key-file",
    Cause.RATE_LIMITED: "ask again in a moment",
    Cause.REJECTED: "ask for less: a shorter question, a shorter answer or fewer pictures",
    Cause.CUT_OFF: "ask again; the server's log tells why it stopped",
}
ASK_AGAIN = "ask again"


class ChatClient:
    """Asks one endpoint in words; several conversations may go on at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport = ModelClient(endpoint, retries=0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def answer(
        self, model: str, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> AsyncGenerator[str, None]:
        """The pieces of the answer as they arrive; close it (`contextlib.aclosing`) to end the server's work.

        Raises EndpointError, also in the middle: what came before is then a part of an answer and no answer.
        """
        body: dict[str, Any] = {"model": model, "messages": list(messages), "max_tokens": max_tokens, "stream": True}
        complete = False
        try:
            async with aclosing(self._transport.events(body | {"temperature": temperature})) as events:
                async for event in events:
                    choice = (event.get("choices") or [{}])[0]
                    complete = complete or choice.get("finish_reason") is not None
                    piece = (choice.get("delta") or {}).get("content")
                    if piece:
                        yield str(piece)
        except REPLY_FAULTS as error:
            raise self._refused(error) from error
        if not complete:
            raise EndpointError(f"{self._endpoint.url} broke off in the middle of its answer; {ADVICE[Cause.CUT_OFF]}")

    def _refused(self, error: BaseException) -> EndpointError:
        said = detail_of(error)
        if tls_fault(error):
            # What is to be done about a certificate is said with it; the server is there.
            return EndpointError(f"{self._endpoint.url}: {said}")
        return EndpointError(f"{self._endpoint.url}: {said}; {ADVICE.get(cause_of(error), ASK_AGAIN)}")
