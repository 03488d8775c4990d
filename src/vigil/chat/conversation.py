"""A chat conversation: its turns, the request they make up within the model's context, and the streamed answer.

The newest attachment is always sent. Older ones are added from new to old while they fit; one that does not fit is
replaced by a note, so that the model is not asked about images it cannot see. Closing the stream of an answer stops
generation on the server.
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
"""The most frames of one video, whatever the context: more cost seconds of decoding and add little."""

DEFAULT_CONTEXT = 4096
"""The context length assumed if the server does not report one, in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextLimits:
    """Limits of one request: total tokens, tokens reserved for the answer, pictures and videos."""

    context: int = DEFAULT_CONTEXT
    answer: int = 512
    pictures: int = 16
    videos: int = 4

    @property
    def prompt(self) -> int:
        """The most tokens of the prompt."""
        return self.context - self.answer

    def most_frames(self, sampling: FrameSampling, *, beside: str = "") -> int:
        """Returns how many frames of one video fit beside a question, in three quarters of the free context.

        The result is a multiple of the family's frames per group, and at least one group.
        """
        family = family_reading(sampling)
        around = TURN_TOKENS + family.video_overhead_tokens + family.system_overhead_tokens
        room = (self.prompt - around - text_tokens(beside)) * 3 // 4
        groups = room // group_tokens(family, sampling.max_pixels)
        return min(MOST_FRAMES, family.frames_per_group * max(1, groups))


@dataclass(slots=True, eq=False)
class ChatTurn:
    """One question, its attachment, and its answer (empty until there is one)."""

    question: str
    attachment: Attachment | None = None
    answer: str = ""


@dataclass(slots=True)
class Conversation:
    """The turns so far, oldest first."""

    turns: list[ChatTurn] = field(default_factory=list)

    def ask(self, question: str, attachment: Attachment | None = None) -> ChatTurn:
        """Appends a question and returns its turn; raises UsageError if it is empty."""
        if not question.strip():
            raise UsageError("the question is empty; write what you want to know")
        self.turns.append(ChatTurn(question.strip(), attachment))
        return self.turns[-1]

    def rephrased(self, question: str) -> "Conversation":
        """Returns a copy whose newest question is `question`, not answered yet."""
        return Conversation([*self.turns[:-1], ChatTurn(question, self.turns[-1].attachment)])

    def take_back(self) -> ChatTurn | None:
        """Removes and returns the newest turn, for one that got no answer; returns None if there are no turns."""
        return self.turns.pop() if self.turns else None

    def messages(self, limits: ContextLimits) -> list[Message]:
        """Builds the request: the newest question and attachment, then earlier turns, from new to old, while they fit.

        Raises UsageError if the newest question and attachment alone do not fit.
        """
        room = _Room(limits)
        order = self._by_importance()
        must = 2 if len(order) > 1 and order[1].attachment is not None and order[0].attachment is None else 1
        kept: dict[ChatTurn, Attachment | None] = {}
        for rank, turn in enumerate(order):
            text_fits, attachment_fits = room.take(turn)
            if rank < must and not (text_fits and attachment_fits):
                raise UsageError(
                    f"the question with what it shows does not fit the model's context ({limits.context} tokens, "
                    f"{limits.answer} of them for the answer); shorten the question, or ask for a shorter answer"
                )
            if not text_fits:
                break
            kept[turn] = turn.attachment if attachment_fits else None
        shown = [_messages_of(turn, kept[turn]) for turn in self.turns if turn in kept]
        return [message for messages in shown for message in messages]

    def _by_importance(self) -> list[ChatTurn]:
        """Returns the newest turn, the one with the newest attachment, then the others from new to old."""
        newest_first = self.turns[::-1]
        attached = [turn for turn in newest_first if turn.attachment is not None]
        first = dict.fromkeys([*newest_first[:1], *attached[:1]])
        return [*first, *(turn for turn in newest_first if turn not in first)]


@dataclass(slots=True)
class _Room:
    """What has been used of the limits."""

    limits: ContextLimits
    taken: int = 0
    pictures: int = 0
    videos: int = 0

    def take(self, turn: ChatTurn) -> tuple[bool, bool]:
        """Reserves what fits of a turn; returns whether its text fits, and whether its attachment (if any) fits."""
        if self.taken + _text_tokens(turn) > self.limits.prompt:
            return False, False
        self.taken += _text_tokens(turn)
        attachment = turn.attachment
        if attachment is None:
            return True, True
        moving = int(attachment.is_moving)
        if (
            self.taken + attachment.tokens > self.limits.prompt
            or self.videos + moving > self.limits.videos
            or self.pictures + 1 - moving > self.limits.pictures
        ):
            return True, False
        self.taken += attachment.tokens
        self.videos += moving
        self.pictures += 1 - moving
        return True, True


def _text_tokens(turn: ChatTurn) -> int:
    return TURN_TOKENS + text_tokens(turn.question) + text_tokens(turn.answer)


def _messages_of(turn: ChatTurn, attachment: Attachment | None) -> list[Message]:
    parts: list[dict[str, Any]] = [] if attachment is None else _parts(attachment)
    lost = turn.attachment is not None and attachment is None
    text = f"{LEFT_OUT}\n{turn.question}" if lost else _with_times(turn.question, attachment)
    content: Any = [*parts, {"type": "text", "text": text}] if parts else text
    message: Message = {"role": "user", "content": content}
    return [message, {"role": "assistant", "content": turn.answer}] if turn.answer else [message]


def _parts(attachment: Attachment) -> list[dict[str, Any]]:
    if attachment.is_moving:
        return [video_part(attachment.jpegs)]
    return image_parts(attachment.jpegs, fps=1.0)[1:]


def _with_times(question: str, attachment: Attachment | None) -> str:
    """Returns the question, with the true frame times appended if they differ from what the server assumes."""
    if attachment is None or not (attachment.is_stretched or attachment.is_part):
        return question
    return (
        f"{question}\n({len(attachment.jpegs)} frames, {attachment.spacing_s:.1f} s apart, "
        f"from {attachment.start_s:.1f} s to {attachment.end_s:.1f} s of the video)"
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
    """Streams chat answers from one endpoint; several conversations may run concurrently."""

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
        """Yields the pieces of the answer as they arrive; close it (`contextlib.aclosing`) to stop generation.

        Raises EndpointError, possibly in the middle: the pieces yielded so far are then an incomplete answer.
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
        detail = detail_of(error)
        if tls_fault(error):
            # A TLS error carries its own advice, and the server is reachable.
            return EndpointError(f"{self._endpoint.url}: {detail}")
        return EndpointError(f"{self._endpoint.url}: {detail}; {ADVICE.get(cause_of(error), ASK_AGAIN)}")
