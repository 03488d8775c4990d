"""The state of one visitor's chat, and helpers to show and stop its answers.

The session is kept in a `gr.State` and discarded with the browser's page. Streams end as soon as they are stopped, even
while the next piece is awaited. Answers that are JSON are indented; all others stay as the model gave them.
"""

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from vigil.chat import Attachment, Conversation, TimeSpan
from vigil.store.times import local

from ..language import Translator
from .analysis_session import MY_WEBCAM, AnalysisSession
from .uploads import Upload
from .window_messages import WindowRow, window_html

TAG = re.compile(r"<(?=[a-zA-Z/!?])")
ENTITY = re.compile(r"&(?=#?\w+)")

ShownMessage = dict[str, Any]
"""One message of Gradio's chatbot."""


MOST_WINDOWS = 200
"""Windows of an analysis in the conversation. Older ones are removed, alarms last; the downloads have all of them."""


@dataclass(slots=True)
class ReceivedAnswer:
    """The messages of one analysis: for each window number, the data it was drawn from and its message."""

    run: str
    windows: dict[int, tuple[WindowRow, ShownMessage]] = field(default_factory=dict)
    omitted: set[int] = field(default_factory=set)


@dataclass(slots=True)
class ChatSession:
    """One visitor's conversation: `folder` holds the files, `shown` the messages of the page, `stop` ends the answer.

    `desk` is the session of the attachment's analysis, `question_messages` the messages of the question being answered,
    `shown_part` the part of a video that the model was last shown. `left` is set once a new conversation has replaced
    this one; the rest of its output is discarded.
    """

    folder: Path
    conversation: Conversation = field(default_factory=Conversation)
    shown: list[ShownMessage] = field(default_factory=list)
    question_messages: list[ShownMessage] = field(default_factory=list)
    upload: Upload | None = None
    shown_part: TimeSpan | Literal["whole"] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    busy: bool = False
    left: bool = False
    is_begun: bool = False
    desk: AnalysisSession = field(init=False)
    received: ReceivedAnswer = field(default_factory=lambda: ReceivedAnswer(""))

    def __post_init__(self) -> None:
        self.desk = AnalysisSession(self.folder)

    def attach(self, upload: Upload) -> None:
        """Replaces the attachment."""
        self.desk.stop()
        self.upload, self.shown_part = upload, None

    def detach(self) -> None:
        """Removes the attachment."""
        self.desk.stop()
        self.upload = None

    @property
    def uses_webcam(self) -> bool:
        """Whether questions are about the visitor's own webcam."""
        return self.upload is not None and self.upload.address is MY_WEBCAM

    def show_question(self, question: str, upload: Upload | None, attachment: Attachment | None, t: Translator) -> None:
        """Adds the question and a picture of its attachment to the page."""
        if upload is not None and attachment is not None:
            self._add(_message("user", caption(upload, attachment, t), picture=self._picture(upload, attachment)))
        self._add(_message("user", question))
        self._add(_message("assistant", ""))

    def show_analysis(self, question: str, source: str) -> None:
        """Adds a question that is asked of every window of a source."""
        for text in (source, question):
            self._add(_message("user", text))
        self.received = ReceivedAnswer(self.desk.run)

    def show_answer(self, text: str) -> None:
        """Sets the text of the answer so far, at its own position, wherever windows were added in the meantime."""
        self.question_messages[-1].update(_message("assistant", text))

    def show_windows(self, rows: Sequence[WindowRow], t: Translator) -> None:
        """Updates the windows: appends new ones, redraws changed ones, removes outdated ones."""
        self._remove_outdated(rows)
        received = self.received
        for row in rows:
            number = row["n"]
            if number in received.omitted:
                continue
            drawn_from, message = received.windows.get(number, (None, None))
            if message is None:
                message = _html(window_html(row, received.run, t))
                self.shown.append(message)
            elif drawn_from != row:
                message.update(_html(window_html(row, received.run, t)))
            received.windows[number] = (row, message)
        self._make_room()

    def show_sum(self, html: str) -> None:
        """Adds the summary of the finished analysis."""
        self.shown.append(_html(html))

    def take_back(self) -> None:
        """Removes the latest question, because it got no answer."""
        self._remove(self.question_messages)
        self.question_messages = []

    def _add(self, message: ShownMessage) -> None:
        self.shown.append(message)
        self.question_messages.append(message)

    def _remove_outdated(self, rows: Sequence[WindowRow]) -> None:
        """Removes windows that are being judged again, and the oldest others that are not alarms."""
        received, now = self.received, {row["n"] for row in rows}
        oldest = rows[0]["n"] if rows else 0
        removed = [
            number
            for number, (row, _) in received.windows.items()
            if number not in now and (number >= oldest or row["kind"] != "alarm")
        ]
        self._remove([received.windows.pop(number)[1] for number in removed])

    def _make_room(self) -> None:
        received = self.received
        too_many = max(0, len(received.windows) - MOST_WINDOWS)
        calm_first = sorted(
            received.windows, key=lambda number: (received.windows[number][0]["kind"] == "alarm", number)
        )
        received.omitted.update(calm_first[:too_many])
        self._remove([received.windows.pop(number)[1] for number in calm_first[:too_many]])

    def _remove(self, messages: Sequence[ShownMessage]) -> None:
        if messages:
            removed = {id(message) for message in messages}
            self.shown = [message for message in self.shown if id(message) not in removed]

    def _picture(self, upload: Upload, attachment: Attachment) -> Path:
        """The picture for an upload: the file itself if browsers can show it, else a frame."""
        if upload.kind == "picture" or (upload.is_playable and not attachment.is_part):
            return upload.path
        path = self.folder / f"look-{secrets.token_hex(4)}.jpg"
        path.write_bytes(attachment.jpegs[-1 if attachment.kind == "camera" else 0])
        return path


def caption(upload: Upload, attachment: Attachment, t: Translator) -> str:
    """The name of the attachment, and the frames that the model gets: their number, size and seconds."""
    if attachment.kind == "picture":
        return t("chat.picture", name=upload.name)
    size = f"{attachment.size_wh[0]}×{attachment.size_wh[1]}"
    name = upload.address.name if upload.address else upload.name
    times = {
        "frames": len(attachment.jpegs),
        "size": size,
        "start": f"{attachment.start_s:.1f}",
        "end": f"{attachment.end_s:.1f}",
    }
    if attachment.is_part:
        return t("chat.part", name=name, **times)
    if attachment.kind == "camera":
        time = local(attachment.at_s or 0.0)
        return t("chat.camera", name=name, frames=len(attachment.jpegs), size=size, time=time)
    if attachment.is_stretched:
        text = t("chat.video_spaced", name=name, spacing=f"{attachment.spacing_s:.1f}", **times)
    else:
        text = t("chat.video", name=name, **times)
    return text if upload.is_playable else f"{text}\n{t('chat.not_playable', name=name)}"


def _html(html: str) -> ShownMessage:
    """A message of trusted HTML, escaped where it was built."""
    return {"role": "assistant", "content": [{"type": "text", "text": html}]}


def _message(role: str, text: str, *, picture: Path | None = None) -> ShownMessage:
    """A message as a typed part, so that Gradio keeps the white space of the text."""
    part = {"type": "text", "text": escape_html(text)}
    content = [part] if picture is None else [{"path": str(picture), "alt_text": text}, part]
    return {"role": role, "content": content}


def escape_html(text: str) -> str:
    """Escapes text for the chatbot, which parses HTML even with markdown off.

    Only what would open a tag or an entity is replaced, so that `5 < 6` can be copied from the page unchanged.
    """
    return TAG.sub("&lt;", ENTITY.sub("&amp;", text))


T = TypeVar("T")


async def stream_until(pieces: AsyncIterator[T], stop: asyncio.Event) -> AsyncGenerator[T, None]:
    """Yields until `stop` is set, then cancels the pending read, which closes its connection."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set() and (piece := await _next_unless(pieces, stopped)) is not None:
            yield piece
    finally:
        stopped.cancel()


async def _next_unless(pieces: AsyncIterator[T], stopped: "asyncio.Future[Any]") -> T | None:
    """The next piece; None at the end, or as soon as `stopped` is done."""
    coming = asyncio.ensure_future(_next(pieces))
    try:
        await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not coming.done():
            await _end(coming)
    return None if coming.cancelled() else coming.result()


async def unless_stopped(work: Awaitable[T], stop: asyncio.Event) -> T | None:
    """Returns the result, or None as soon as `stop` is set; the work is cancelled, but a thread in it runs on."""
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return None if stop.is_set() else await working
    finally:
        for future in (working, stopped):
            future.cancel()


async def _end(future: "asyncio.Future[T | None]") -> None:
    future.cancel()
    await asyncio.wait({future})


async def _next(pieces: AsyncIterator[T]) -> T | None:
    return await anext(pieces, None)


async def coalesce(pieces: AsyncIterator[str], *, every_s: float) -> AsyncIterator[str]:
    """Merges pieces so that they arrive at least `every_s` apart."""
    waiting, painted_s = "", 0.0
    async for piece in pieces:
        waiting += piece
        if time.monotonic() - painted_s >= every_s:
            yield waiting
            waiting, painted_s = "", time.monotonic()
    if waiting:
        yield waiting


FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL | re.IGNORECASE)


def pretty_json(answer: str) -> str:
    """Indents an answer that is JSON, without the code fence around it."""
    fenced = FENCE.fullmatch(answer)
    try:
        parsed = json.loads(fenced[1] if fenced else answer, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        return answer
    return json.dumps(parsed, ensure_ascii=False, indent=2) if isinstance(parsed, dict | list) and parsed else answer


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dictionary; raises ValueError for duplicate keys."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)
