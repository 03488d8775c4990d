"""The chat tab: questions about text, a picture, a video or a camera, in one conversation."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from vigil.chat import (
    Attachment,
    ChatClient,
    ChatTurn,
    ContextLimits,
    Conversation,
    TimeSpan,
    find_time_span,
)
from vigil.chat.conversation import DEFAULT_CONTEXT
from vigil.errors import EndpointError, VigilError
from vigil.frames import FrameSampling
from vigil.judge.contract import served_model
from vigil.judge.discovery import ServedModel
from vigil.manifest import parse_alias, read_manifest
from vigil.questions import Question
from vigil.sources.address import Address

from ..camera_masks import with_masks
from ..endpoint_monitor import EVERY_S
from .analysis_layout import second_of_player
from .analysis_updates import WEBCAM
from .chat_layout import ChatComponents, lay_out_chat
from .chat_questions import WindowQuestions
from .chat_request import ChatRequest, attach_upload, parse_span
from .chat_session import ChatSession, coalesce, pretty_json, stream_until, unless_stopped
from .chat_windows import ChatAnalysis
from .context import RequestRefused, SiteContext, notice_html, preset_choices, trained_question
from .gradio_patches import SILENT
from .uploads import Upload

AT_ONCE = 16
"""The most questions answered concurrently, over all visitors."""

PAINT_S = 0.08
"""Minimum time between two updates of a streamed answer; more frequent updates only cost bandwidth."""

EMPTIED_S = 1.0
"""How long every update clears the input box, since a busy browser may miss one; later the user may be typing."""

WITH_ABOUT = """(box, model, tokens, visit, mode) => [
  box, model, tokens, visit, mode, document.querySelector("#chat-stage .va")?.dataset.about ?? "",
]"""

CSS = (Path(__file__).resolve().parent / "scripts" / "chat.css").read_text(encoding="utf-8")

Update = tuple[Any, Any, Any, Any]
"""New values of the message log, the input box, the notice and the session."""

NOTHING_NEW: Update = (gr.skip(),) * 4

Sent = tuple[Any, Any, Any, Any, Any]
"""An `Update`, and the analysis that was started."""

ChatBox = dict[str, Any]
"""Changed properties of the input box; its `value` is the question with its files."""

EMPTY: ChatBox = {"value": None}


@dataclass(frozen=True, slots=True)
class ChatPanel:
    """The event handlers of the chat on one page. It holds no state of a visitor; that is in `ChatSession`."""

    context: SiteContext
    questions: tuple[Question, ...]

    @property
    def windows(self) -> WindowQuestions:
        """Asks the question about every window of a video or camera."""
        return WindowQuestions(self.context)

    async def send(
        self,
        sent: dict[str, Any] | None,
        model: str | None,
        tokens: float,
        visit: ChatSession | None,
        mode: str = "whole",
        about: str = "",
    ) -> AsyncIterator[Sent]:
        """Streams the answer to one message, or starts asking about every window; on failure the message is restored.

        `about` holds the seconds selected on the timeline, as `from-to`.
        """
        visit = visit or ChatSession(self.context.uploads.visitor_folder())
        if visit.busy:
            # Gradio clears the outputs of a handler that yields nothing.
            yield *NOTHING_NEW, gr.skip()
            return
        text, files = (sent or {}).get("text") or "", list((sent or {}).get("files") or [])
        visit.busy, visit.stop, visit.question_messages = True, asyncio.Event(), []
        chat_request = ChatRequest(text, files, model or "", int(tokens), mode, None if files else parse_span(about))
        try:
            async with aclosing(self._answer(chat_request, visit)) as updates:
                async for update in updates:
                    yield *(NOTHING_NEW if visit.left else update), self.windows.begun(visit)
        except RequestRefused as refused:
            visit.take_back()
            box = {"text": text, "files": files if refused.keeps_files else []}
            update = self._update(visit, box={"value": box}, notice=notice_html(str(refused), refused.detail))
            yield *(NOTHING_NEW if visit.left else update), gr.skip()
        finally:
            visit.busy = False

    async def _answer(self, chat_request: ChatRequest, visit: ChatSession) -> AsyncGenerator[Update, None]:
        t, text, files = self.context.t, chat_request.text, chat_request.files
        if len(files) > 1:
            raise RequestRefused(t("chat.one_file", count=len(files)))
        if not text.strip():
            raise RequestRefused(t("chat.no_question"), keeps_files=True)
        if files:
            yield self._busy(visit, t("chat.reading", name=Path(files[0]).name))
            visit.attach(await self._take(Path(files[0]), visit))
        served = await self._served(chat_request.model)
        moves = self._moving(visit)
        span = (find_time_span(text) or chat_request.about) if moves is not None else None
        if moves is not None and span is None and (chat_request.mode != "whole" or visit.uses_webcam):
            await self.windows.ask_windows(text, served, visit, moves, live=chat_request.mode == "live")
            yield self._update(visit, box=EMPTY, notice="")
            return
        async for update in self._answer_freely(chat_request, visit, served, span):
            yield update

    def _moving(self, visit: ChatSession) -> Address | None:
        """Returns the attached video or camera, or None; raises RequestRefused if its file was deleted."""
        upload = visit.upload
        if upload is None or upload.kind == "picture":
            return None
        if not self.context.uploads.exists(upload):
            minutes = f"{self.context.options.keep_uploads_s / 60:g}"
            raise RequestRefused(self.context.t("chat.gone", name=upload.name, minutes=minutes))
        return upload.address or Address("file", upload.name, str(upload.path))

    async def _answer_freely(
        self, chat_request: ChatRequest, visit: ChatSession, served: ServedModel, span: TimeSpan | None
    ) -> AsyncGenerator[Update, None]:
        """Streams one free-text answer about text, a picture, or a video or camera (a part or the whole of it)."""
        t, text = self.context.t, chat_request.text
        most_tokens = min(chat_request.tokens, (served.max_model_len or chat_request.tokens) // 2)
        limits = ContextLimits(context=served.max_model_len or DEFAULT_CONTEXT, answer=most_tokens)
        if visit.upload is not None and visit.upload.address is not None and span is None:
            yield self._busy(visit, t("chat.looking", name=visit.upload.address.name))
        attachment = await self._attachment(visit, text, served, limits, span, is_new=bool(chat_request.files))
        turn = visit.conversation.ask(text, attachment)
        visit.show_question(turn.question, visit.upload, attachment, t)
        yield self._busy(visit, t("chat.thinking"))
        typed_from_s = time.monotonic() + EMPTIED_S
        try:
            async with (
                ChatClient(self.context.endpoint) as client,
                aclosing(self._answer_pieces(client, visit.conversation, served, limits)) as pieces,
                aclosing(stream_until(pieces, visit.stop)) as coming,
            ):
                async for piece in coalesce(coming, every_s=PAINT_S):
                    turn.answer += piece
                    visit.show_answer(turn.answer)
                    yield self._busy(visit, "", box=_emptied(until_s=typed_from_s))
        except VigilError as error:
            visit.conversation.take_back()
            raise RequestRefused(t("chat.not_answered"), detail=str(error), keeps_files=True) from error
        except BaseException:
            # The visitor disconnected: remove the unanswered turn.
            visit.conversation.take_back()
            raise
        self._finish(turn, visit)
        notice = self._longer_than_trained(turn, attachment, served)
        yield self._update(visit, box=_emptied(until_s=typed_from_s), notice=notice)

    async def _answer_pieces(
        self, client: ChatClient, conversation: Conversation, served: ServedModel, limits: ContextLimits
    ) -> AsyncGenerator[str, None]:
        """Streams the answer; after the verdict of a verdict-only model, the description by its describer."""
        describer, turn = served.describer(), conversation.turns[-1]
        task = self._trained_task(turn, served)
        first = served.name if task is not None or not describer else describer
        async with aclosing(client.answer(first, conversation.messages(limits), max_tokens=limits.answer)) as pieces:
            async for piece in pieces:
                yield piece
        if task is None or not describer or not any(earlier.attachment for earlier in conversation.turns):
            return
        messages = conversation.rephrased(task.description_question).messages(limits)
        yield "\n"
        try:
            async with aclosing(client.answer(describer, messages, max_tokens=limits.answer)) as pieces:
                async for piece in pieces:
                    yield piece
        except EndpointError as error:
            # The verdict remains valid without its description.
            yield self.context.t("chat.not_described", detail=str(error))

    def _trained_task(self, turn: ChatTurn, served: ServedModel) -> Question | None:
        """Returns the turn's question as it is configured if it is the one the model was trained on, else None."""
        trained = trained_question(self.questions, served.alias)
        configured = (one for one in self.questions if one.name == trained and one.text == turn.question)
        question = next(configured, None)
        folder = self.context.settings.model_dir
        if question is None or folder is None:
            return question
        return read_manifest(folder).contract.with_description(question)

    def _finish(self, turn: ChatTurn, visit: ChatSession) -> None:
        """Marks an answer that was stopped or is empty as such; an empty one is removed from the conversation."""
        t = self.context.t
        message = t("chat.stopped") if visit.stop.is_set() else "" if turn.answer else t("chat.nothing")
        visit.show_answer("\n".join(filter(None, (pretty_json(turn.answer), message))))
        if not turn.answer:
            visit.conversation.take_back()

    def _longer_than_trained(self, turn: ChatTurn, attachment: Attachment | None, served: ServedModel) -> str:
        """Returns a notice if the trained question was asked about more frames than a training window has, else ""."""
        if attachment is None or self._trained_task(turn, served) is None:
            return ""
        most = parse_alias(served.alias).frames
        if len(attachment.jpegs) <= most:
            return ""
        message = self.context.t("chat.longer_than_trained", frames=len(attachment.jpegs), trained=most)
        return notice_html(message, quiet=True)

    async def _take(self, sent: Path, visit: ChatSession) -> Upload:
        """Stores and checks the uploaded file; raises RequestRefused if it is unreadable or a camera not allowed."""
        t = self.context.t
        try:
            upload = await asyncio.to_thread(self.context.uploads.take, sent, visit.folder)
        except VigilError as error:
            raise RequestRefused(t("chat.bad_file"), detail=str(error)) from error
        try:
            if upload.address is not None:
                address = self.context.allowed.admit(upload.address)
                upload = replace(upload, address=await asyncio.to_thread(with_masks, self.context, address))
        except VigilError as error:
            raise RequestRefused(t("chat.bad_camera"), detail=str(error)) from error
        return upload

    async def _attachment(
        self,
        visit: ChatSession,
        text: str,
        served: ServedModel,
        limits: ContextLimits,
        span: TimeSpan | None,
        *,
        is_new: bool,
    ) -> Attachment | None:
        """Returns the attachment to send with a question, or None if the conversation already has it.

        A picture is sent once, a video (or a part of it) until another part is asked about, a camera every time.
        """
        t, upload = self.context.t, visit.upload
        wanted: TimeSpan | Literal["whole"] = span or "whole"
        is_shown = visit.shown_part == wanted and (span is not None or upload is None or upload.kind != "camera")
        if upload is None or (is_shown and not is_new):
            return None
        sampling = parse_alias(served.alias) if served.alias else FrameSampling()
        most, given_up = limits.most_frames(sampling, beside=text), threading.Event()
        try:
            if upload.address is not None and span is None:
                masked = await asyncio.to_thread(with_masks, self.context, upload.address)
                upload = replace(upload, address=masked)
            work = asyncio.to_thread(attach_upload, upload, sampling, most, given_up, span, visit.desk.analysis)
            attachment = await unless_stopped(work, visit.stop)
        except VigilError as error:
            if span is None:
                visit.upload = None
            message = t("chat.camera_silent") if upload.address is not None else t("chat.bad_file")
            detail = str(error).replace(str(upload.path), upload.name)
            raise RequestRefused(t("chat.no_part") if span is not None else message, detail=detail) from error
        finally:
            given_up.set()
        if attachment is None:
            raise RequestRefused(t("chat.stopped_early"), keeps_files=True)
        visit.shown_part = wanted
        # The verdict question is asked exactly as in training, without a note about times.
        asks_verdict = bool(self.windows.question_of(text, served).labels)
        return replace(attachment, is_part=False) if asks_verdict else attachment

    async def _served(self, model: str) -> ServedModel:
        """Returns the chosen model as it is served now; raises RequestRefused if the endpoint does not answer."""
        models = {served.name: served for served in self.context.status.now.models}
        if model in models:
            return models[model]
        try:
            return await served_model(replace(self.context.endpoint, model=model or self.context.endpoint.model))
        except VigilError as error:
            raise RequestRefused(self.context.t("chat.not_answered"), detail=str(error), keeps_files=True) from error

    async def stop(self, visit: ChatSession | None) -> None:
        """Stops the answer that is being streamed."""
        if visit is not None:
            visit.stop.set()

    def offer(self, visit: ChatSession | None) -> tuple[Any, Any]:
        """Shows the "analyse" button if a video or camera is attached, and the webcam while it is in use."""
        moves = visit is not None and visit.upload is not None and visit.upload.kind != "picture"
        is_whole = moves and visit is not None and visit.desk.analysis is None and not visit.uses_webcam
        return gr.Button(visible=is_whole), gr.Image(visible=visit is not None and visit.uses_webcam)

    def rest(self) -> Any:
        """Returns the input box ready for the next question."""
        return gr.MultimodalTextbox(submit_btn=True, stop_btn=False)

    def _busy(self, visit: ChatSession, notice: str, *, box: ChatBox = EMPTY) -> Update:
        buttons = {"submit_btn": False, "stop_btn": self.context.t("chat.stop")}
        return self._update(visit, box={**box, **buttons}, notice=notice_html(notice, quiet=True))

    def _update(self, visit: ChatSession, *, box: ChatBox, notice: str) -> Update:
        return visit.shown, gr.MultimodalTextbox(**box), notice, visit

    def preset(self, name: str, sent: dict[str, Any] | None) -> dict[str, Any]:
        """Returns the input box with the text of a preset; attached files are kept."""
        found = next((question.text for question in self.questions if question.name == name), "")
        return {"text": found, "files": list((sent or {}).get("files") or [])}

    def choices(self, model: str | None, last_models: tuple[str, ...]) -> tuple[Any, Any, tuple[str, ...]]:
        """The current models and presets; no change if they equal `last_models` or the endpoint is unreachable."""
        models = self.context.status.now.models
        names = tuple(served.name for served in models)
        if names == last_models or not names:
            return gr.skip(), gr.skip(), last_models
        wanted = next((name for name in (model, self.context.endpoint.model) if name in names), None)
        chosen = wanted or names[0]
        alias = next((served.alias for served in models if served.name == chosen), "")
        presets = preset_choices(self.questions, self.context.t, trained=trained_question(self.questions, alias))
        return gr.Dropdown(choices=list(names), value=chosen), gr.Dropdown(choices=presets), names


def _emptied(*, until_s: float) -> ChatBox:
    return EMPTY if time.monotonic() < until_s else {}


def panel(context: SiteContext) -> ChatComponents:
    """Lays out the chat in the current tab and connects its handlers."""
    parts = lay_out_chat(context, context.questions)
    bench = ChatAnalysis(context, parts)
    chat = ChatPanel(context, context.questions)
    at_once = {**SILENT, "queue": False}
    # Only the message log shows a progress indicator.
    waited = {**SILENT, "show_progress_on": [parts.log], "concurrency_limit": AT_ONCE}
    followed = {**SILENT, "concurrency_limit": None, "trigger_mode": "multiple"}
    outputs = [parts.log, parts.box, parts.notice, parts.visit]
    submitted = parts.box.submit(
        chat.send,
        [parts.box, parts.model, parts.tokens, parts.visit, parts.mode, parts.about],
        [*outputs, parts.begun],
        js=WITH_ABOUT,
        **waited,
    )
    parts.box.stop(chat.stop, parts.visit, None, **at_once)
    fresh = [*outputs, *parts.shown]
    begun = gr.on([parts.fresh.click, parts.log.clear], bench.begin_anew, parts.visit, fresh, **at_once)
    # Gradio silently drops a question sent before the page has received the end of the previous answer.
    submitted.then(chat.rest, None, parts.box, **at_once)
    # Not after every answer: a page that receives the end of a queued event late loses the next question.
    parts.begun.change(bench.follow_visit, parts.visit, [*parts.shown, parts.log], **followed)
    for event in (submitted, begun):
        event.then(chat.offer, parts.visit, [parts.analyse, parts.webcam], **at_once)
    parts.mode.input(
        bench.switch_visit, [parts.second, parts.visit, parts.mode], None, js=second_of_player("chat"), **at_once
    )
    parts.use_webcam.click(bench.toggle_webcam, parts.visit, [parts.webcam, parts.visit], **at_once)
    parts.webcam.stream(bench.push_visit, [parts.webcam, parts.visit], None, **WEBCAM)
    parts.stop.click(bench.stop_visit, parts.visit, None, **at_once)
    parts.draw.click(
        bench.draw_visit,
        parts.visit,
        [parts.draw, parts.film, parts.stop, parts.notice],
        **SILENT,
        concurrency_limit=2,
    )
    parts.list_actions.click(
        bench.list_actions_of_visit,
        parts.visit,
        [*parts.listed, parts.stop, parts.notice],
        **SILENT,
        concurrency_limit=2,
    )
    parts.preset.input(chat.preset, [parts.preset, parts.box], parts.box, **at_once)
    choices = [parts.model, parts.preset, parts.last_models]
    for trigger in (None, gr.Timer(EVERY_S).tick):
        gr.on(trigger, chat.choices, [parts.model, parts.last_models], choices, **at_once)
    return parts
