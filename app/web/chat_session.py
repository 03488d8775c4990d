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
    left_out: set[int] = field(default_factory=set)


@dataclass(slots=True)
class ChatSession:
    """One visitor's conversation: `folder` holds the files, `shown` the messages of the page, `stop` ends the answer.

    `desk` is the session of the attachment's analysis, `asked` the messages of the question being answered, `looked`
    the part of a video that the model was last shown. `left` is set once a new conversation has replaced this one; the
    rest of its output is discarded.
    """

    folder: Path
    conversation: Conversation = field(default_factory=Conversation)
    shown: list[ShownMessage] = field(default_factory=list)
    asked: list[ShownMessage] = field(default_factory=list)
    upload: Upload | None = None
    looked: TimeSpan | Literal["whole"] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    busy: bool = False
    left: bool = False
    is_begun: bool = False
    desk: AnalysisSession = field(init=False)
    told: ReceivedAnswer = field(default_factory=lambda: ReceivedAnswer(""))

    def __post_init__(self) -> None:
        self.desk = AnalysisSession(self.folder)

    def attach(self, upload: Upload) -> None:
        """Replaces the attachment."""
        self.desk.stop()
        self.upload, self.looked = upload, None

    def detach(self) -> None:
        """Removes the attachment."""
        self.desk.stop()
        self.upload = None

    @property
    def uses_webcam(self) -> bool:
        """Whether questions are about the visitor's own webcam."""
        return self.upload is not None and self.upload.address is MY_WEBCAM

    def show_question(self, question: str, upload: Upload | None, look: Attachment | None, t: Translator) -> None:
        """Adds the question and a picture of its attachment to the page."""
        if upload is not None and look is not None:
            self._add(_says("user", caption(upload, look, t), picture=self._picture(upload, look)))
        self._add(_says("user", question))
        self._add(_says("assistant", ""))

    def show_analysis(self, question: str, source: str) -> None:
        """Adds a question that is asked of every window of a source."""
        for words in (source, question):
            self._add(_says("user", words))
        self.told = ReceivedAnswer(self.desk.run)

    def show_answer(self, text: str) -> None:
        """Sets the text of the answer so far, at its own position, wherever windows were added in the meantime."""
        self.asked[-1].update(_says("assistant", text))

    def show_windows(self, rows: Sequence[WindowRow], t: Translator) -> None:
        """Updates the windows: appends new ones, redraws changed ones, removes forgotten ones."""
        self._forget(rows)
        told = self.told
        for row in rows:
            number = row["n"]
            if number in told.left_out:
                continue
            drawn_from, message = told.windows.get(number, (None, None))
            if message is None:
                message = _html(window_html(row, told.run, t))
                self.shown.append(message)
            elif drawn_from != row:
                message.update(_html(window_html(row, told.run, t)))
            told.windows[number] = (row, message)
        self._make_room()

    def show_sum(self, html: str) -> None:
        """Adds the summary of the finished analysis."""
        self.shown.append(_html(html))

    def take_back(self) -> None:
        """Removes the latest question, because it got no answer."""
        self._remove(self.asked)
        self.asked = []

    def _add(self, message: ShownMessage) -> None:
        self.shown.append(message)
        self.asked.append(message)

    def _forget(self, rows: Sequence[WindowRow]) -> None:
        """Removes windows that are being judged again, and the oldest others that are no alarm."""
        told, now = self.told, {row["n"] for row in rows}
        oldest = rows[0]["n"] if rows else 0
        gone = [
            number
            for number, (row, _) in told.windows.items()
            if number not in now and (number >= oldest or row["kind"] != "alarm")
        ]
        self._remove([told.windows.pop(number)[1] for number in gone])

    def _make_room(self) -> None:
        told = self.told
        too_many = max(0, len(told.windows) - MOST_WINDOWS)
        calm_first = sorted(told.windows, key=lambda number: (told.windows[number][0]["kind"] == "alarm", number))
        told.left_out.update(calm_first[:too_many])
        self._remove([told.windows.pop(number)[1] for number in calm_first[:too_many]])

    def _remove(self, messages: Sequence[ShownMessage]) -> None:
        if messages:
            gone = {id(message) for message in messages}
            self.shown = [message for message in self.shown if id(message) not in gone]

    def _picture(self, upload: Upload, look: Attachment) -> Path:
        """The picture for an upload: the file itself if browsers can show it, else a frame."""
        if upload.kind == "picture" or (upload.is_playable and not look.is_part):
            return upload.path
        path = self.folder / f"look-{secrets.token_hex(4)}.jpg"
        path.write_bytes(look.jpegs[-1 if look.kind == "camera" else 0])
        return path


def caption(upload: Upload, look: Attachment, t: Translator) -> str:
    """What was attached and what the model sees of it: number and size of frames, and the seconds they cover."""
    if look.kind == "picture":
        return t("chat.picture", name=upload.name)
    size = f"{look.size_wh[0]}×{look.size_wh[1]}"
    name = upload.address.name if upload.address else upload.name
    times = {"frames": len(look.jpegs), "size": size, "start": f"{look.start_s:.1f}", "end": f"{look.end_s:.1f}"}
    if look.is_part:
        return t("chat.part", name=name, **times)
    if look.kind == "camera":
        time = local(look.at_s or 0.0)
        return t("chat.camera", name=name, frames=len(look.jpegs), size=size, time=time)
    if look.is_stretched:
        text = t("chat.video_spaced", name=name, spacing=f"{look.spacing_s:.1f}", **times)
    else:
        text = t("chat.video", name=name, **times)
    return text if upload.is_playable else f"{text}\n{t('chat.not_playable', name=name)}"


def _html(words: str) -> ShownMessage:
    """A message of trusted HTML, escaped where it was built."""
    return {"role": "assistant", "content": [{"type": "text", "text": words}]}


def _says(role: str, text: str, *, picture: Path | None = None) -> ShownMessage:
    """A message as a typed part, so that Gradio keeps the white space of the text."""
    said = {"type": "text", "text": escape_html(text)}
    content = [said] if picture is None else [{"path": str(picture), "alt_text": text}, said]
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
        while not stop.is_set():
            coming = asyncio.ensure_future(_next(pieces))
            try:
                await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    await _end(coming)
            piece = None if coming.cancelled() else coming.result()
            if piece is None:
                return
            yield piece
    finally:
        stopped.cancel()


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
        told = json.loads(fenced[1] if fenced else answer, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        return answer
    return json.dumps(told, ensure_ascii=False, indent=2) if isinstance(told, dict | list) and told else answer


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dictionary; raises ValueError for duplicate keys."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)
