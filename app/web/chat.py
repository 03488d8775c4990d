"""The chat: one box, one upload button; ask about a text, a picture, a video or a camera, turn by turn."""

import asyncio
import html
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from app.web.context import SiteContext
from app.web.idle import SILENT
from app.web.json_answer import laid_out
from app.web.presets import preset_choices, trained_question
from app.web.refusal import Refused, notice_html
from app.web.status import EVERY_S
from app.web.until import painted, unless, until
from app.web.uploads import Upload
from app.web.visit import Visit
from vigil.chat import Conversation, Limits, Look, Talker, Turn, look_at_camera, look_at_picture, look_at_video
from vigil.chat.conversation import DEFAULT_CONTEXT
from vigil.errors import EndpointError, UsageError, VigilError
from vigil.frames import Sampling
from vigil.judge.connection import ServedModel
from vigil.judge.contract import served_model
from vigil.manifest import sampling_from_alias
from vigil.sources.picture_worker import worker
from vigil.tasks import Question, Task

AT_ONCE = 16
"""Visitors whose questions are answered at the same time."""

PAINT_S = 0.08
"""Time between two pictures of a streamed answer: more often only costs."""

EMPTIED_S = 1.0
"""How long the box is emptied with each picture, as a busy browser may miss one; then the next question is typed."""

LONGEST_ANSWER = 2048
USUAL_ANSWER = 512
LONGEST_QUESTION = 100_000
"""Gradio makes a file of a longer paste, which is not what one expects of a question."""

CSS = (Path(__file__).resolve().parent / "scripts" / "chat.css").read_text(encoding="utf-8")

Update = tuple[Any, Any, Any, Any]
"""New values of the log, the box, the notice and the visit."""

NOTHING_NEW: Update = (gr.skip(),) * 4

Box = dict[str, Any]
"""What changes of the box; its value is the question with its files."""

EMPTY: Box = {"value": None}

ON_ITS_WAY_S = 0.5


@dataclass(frozen=True, slots=True)
class Chat:
    """What the chat's handlers share on one page; nothing of a visitor is in it."""

    context: SiteContext
    questions: tuple[Question, ...]

    async def send(
        self, sent: dict[str, Any] | None, model: str | None, tokens: float, visit: Visit | None
    ) -> AsyncIterator[Update]:
        """Answers one message of the box, streaming; a failure gives the question back."""
        visit = visit or Visit(self.context.uploads.visitor_folder())
        if visit.busy:
            # An event that gives nothing at all empties what it could have given.
            yield NOTHING_NEW
            return
        text, files = (sent or {}).get("text") or "", list((sent or {}).get("files") or [])
        visit.busy, visit.stop = True, asyncio.Event()
        marks = len(visit.shown)
        try:
            async with aclosing(self._answer(text, files, model or "", int(tokens), visit)) as updates:
                async for update in updates:
                    yield NOTHING_NEW if visit.left else update
        except Refused as refused:
            visit.take_back(marks)
            box = {"text": text, "files": files if refused.keeps_files else []}
            told = self._said(visit, box={"value": box}, notice=notice_html(str(refused), refused.detail))
            yield NOTHING_NEW if visit.left else told
        finally:
            visit.busy = False

    async def _answer(
        self, text: str, files: list[str], model: str, tokens: int, visit: Visit
    ) -> AsyncGenerator[Update, None]:
        t = self.context.t
        if len(files) > 1:
            raise Refused(t("chat.one_file", count=len(files)))
        if not text.strip():
            raise Refused(t("chat.no_question"), keeps_files=True)
        if files:
            yield self._busy(visit, t("chat.reading", name=Path(files[0]).name))
            visit.upload = await self._take(Path(files[0]), visit)
        served = await self._served(model)
        limits = Limits(
            context=served.max_model_len or DEFAULT_CONTEXT, answer=min(tokens, (served.max_model_len or tokens) // 2)
        )
        if visit.upload is not None and visit.upload.address is not None:
            yield self._busy(visit, t("chat.looking", name=visit.upload.address.name))
        look = await self._look(visit, text, served, limits, is_new=bool(files))
        turn = visit.conversation.ask(text, look)
        visit.show_question(turn.question, visit.upload, look, t)
        yield self._busy(visit, t("chat.thinking"))
        typed_from_s = time.monotonic() + EMPTIED_S
        try:
            async with (
                Talker(self.context.endpoint) as talker,
                aclosing(self._spoken(talker, visit.conversation, served, limits)) as pieces,
                aclosing(until(pieces, visit.stop)) as coming,
            ):
                async for said in painted(coming, every_s=PAINT_S):
                    turn.answer += said
                    visit.show_answer(turn.answer)
                    yield self._busy(visit, "", box=_emptied(until_s=typed_from_s))
        except VigilError as error:
            visit.conversation.take_back()
            raise Refused(t("chat.not_answered"), detail=str(error), keeps_files=True) from error
        except BaseException:
            # The visitor has left; nobody will read the rest.
            visit.conversation.take_back()
            raise
        self._finish(turn, visit)
        notice = self._longer_than_trained(turn, look, served)
        yield self._said(visit, box=_emptied(until_s=typed_from_s), notice=notice)

    async def _spoken(
        self, talker: Talker, conversation: Conversation, served: ServedModel, limits: Limits
    ) -> AsyncGenerator[str, None]:
        """The pieces of the answer. A model of verdicts alone gives the verdict, and its describer the words."""
        describer, turn = served.describer(), conversation.turns[-1]
        task = self._trained_task(turn, served)
        first = served.name if task is not None or not describer else describer
        async with aclosing(talker.answer(first, conversation.messages(limits), max_tokens=limits.answer)) as pieces:
            async for piece in pieces:
                yield piece
        if task is None or not describer or not any(earlier.look for earlier in conversation.turns):
            return
        messages = conversation.rephrased(task.description_question).messages(limits)
        yield "\n"
        try:
            async with aclosing(talker.answer(describer, messages, max_tokens=limits.answer)) as pieces:
                async for piece in pieces:
                    yield piece
        except EndpointError as error:
            # The verdict stands without its words.
            yield self.context.t("chat.not_described", detail=str(error))

    def _trained_task(self, turn: Turn, served: ServedModel) -> Task | None:
        """The task of the question that a turn asks, where it is the one that the model was trained on."""
        trained = trained_question(self.questions, served.alias)
        asked = (one for one in self.questions if one.name == trained and one.question == turn.question)
        return next((one.task for one in asked), None)

    def _finish(self, turn: Turn, visit: Visit) -> None:
        """Closes an answer that was stopped or is empty with a word."""
        t = self.context.t
        words = t("chat.stopped") if visit.stop.is_set() else "" if turn.answer else t("chat.nothing")
        visit.show_answer("\n".join(filter(None, (laid_out(turn.answer), words))))
        if not turn.answer:
            visit.conversation.take_back()

    def _longer_than_trained(self, turn: Turn, look: Look | None, served: ServedModel) -> str:
        """A notice where the model is asked its trained question about more frames at once than it was trained on."""
        if look is None or self._trained_task(turn, served) is None:
            return ""
        most = sampling_from_alias(served.alias).frames
        if len(look.jpegs) <= most:
            return ""
        words = self.context.t("chat.longer_than_trained", frames=len(look.jpegs), trained=most)
        return notice_html(words, quiet=True)

    async def _take(self, sent: Path, visit: Visit) -> Upload:
        """The file that was sent, looked into; a camera only where it is allowed."""
        t = self.context.t
        try:
            upload = await asyncio.to_thread(self.context.uploads.take, sent, visit.folder)
        except VigilError as error:
            raise Refused(t("chat.bad_file"), detail=str(error)) from error
        try:
            if upload.address is not None:
                upload = replace(upload, address=self.context.allowed.admit(upload.address))
        except UsageError as error:
            raise Refused(t("chat.bad_camera"), detail=str(error)) from error
        return upload

    async def _look(self, visit: Visit, text: str, served: ServedModel, limits: Limits, *, is_new: bool) -> Look | None:
        """What a question shows: a new file once, a camera each time anew."""
        t, upload = self.context.t, visit.upload
        if upload is None or not (is_new or upload.kind == "camera"):
            return None
        sampling = sampling_from_alias(served.alias) if served.alias else Sampling()
        most, given_up = limits.most_frames(sampling, beside=text), threading.Event()
        try:
            look = await unless(asyncio.to_thread(_look_at, upload, sampling, most, given_up), visit.stop)
        except VigilError as error:
            visit.upload = None
            said = t("chat.camera_silent") if upload.address is not None else t("chat.bad_file")
            raise Refused(said, detail=str(error).replace(str(upload.path), upload.name)) from error
        finally:
            given_up.set()
        if look is None:
            raise Refused(t("chat.stopped_early"), keeps_files=True)
        return look

    async def _served(self, model: str) -> ServedModel:
        """The model that was chosen, as it is served now."""
        known = {served.name: served for served in self.context.status.now.models}
        if model in known:
            return known[model]
        try:
            return await served_model(replace(self.context.endpoint, model=model or self.context.endpoint.model))
        except VigilError as error:
            raise Refused(self.context.t("chat.not_answered"), detail=str(error), keeps_files=True) from error

    async def stop(self, visit: Visit | None) -> None:
        """Ends the answer that is being given."""
        if visit is not None:
            visit.stop.set()

    async def begin_anew(self, visit: Visit | None) -> Update:
        """An empty conversation."""
        if visit is not None:
            visit.left = True
            visit.stop.set()
            # What the answer had sent already goes another way to the browser, and must not come after this.
            await asyncio.sleep(ON_ITS_WAY_S)
        fresh = Visit(visit.folder if visit is not None else self.context.uploads.visitor_folder())
        return self._said(fresh, box=EMPTY, notice="")

    def offer(self, visit: Visit | None) -> Any:
        """The way to the analysis, where something that moves is attached."""
        moves = visit is not None and visit.upload is not None and visit.upload.kind != "picture"
        return gr.Button(visible=moves)

    def rest(self) -> Any:
        """The box as it takes a question."""
        return gr.MultimodalTextbox(submit_btn=True, stop_btn=False)

    def _busy(self, visit: Visit, notice: str, *, box: Box = EMPTY) -> Update:
        buttons = {"submit_btn": False, "stop_btn": self.context.t("chat.stop")}
        return self._said(visit, box={**box, **buttons}, notice=notice_html(notice, quiet=True))

    def _said(self, visit: Visit, *, box: Box, notice: str) -> Update:
        return visit.shown, gr.MultimodalTextbox(**box), notice, visit

    def preset(self, name: str, sent: dict[str, Any] | None) -> dict[str, Any]:
        """The box with the words of a preset; what is attached stays."""
        found = next((question.question for question in self.questions if question.name == name), "")
        return {"text": found, "files": list((sent or {}).get("files") or [])}

    def choices(self, model: str | None, seen: tuple[str, ...]) -> tuple[Any, Any, tuple[str, ...]]:
        """The models and presets of now; nothing where they are as they were seen, or the endpoint is away."""
        models = self.context.status.now.models
        names = tuple(served.name for served in models)
        if names == seen or not names:
            return gr.skip(), gr.skip(), seen
        wanted = next((name for name in (model, self.context.endpoint.model) if name in names), None)
        chosen = wanted or names[0]
        alias = next((served.alias for served in models if served.name == chosen), "")
        presets = preset_choices(self.questions, self.context.t, trained=trained_question(self.questions, alias))
        return gr.Dropdown(choices=list(names), value=chosen), gr.Dropdown(choices=presets), names


def _emptied(*, until_s: float) -> Box:
    return EMPTY if time.monotonic() < until_s else {}


def _look_at(upload: Upload, sampling: Sampling, most_frames: int, stop: threading.Event) -> Look:
    if upload.address is not None:
        return look_at_camera(upload.address, sampling, stop=stop)
    if upload.kind == "picture":
        return look_at_picture(upload.path, read=worker().read_image)
    return look_at_video(upload.path, sampling, most_frames=most_frames, stop=stop)


@dataclass(frozen=True, slots=True)
class ChatParts:
    """What others may use: the visitor's state, the model, the button to the analysis, where notices stand."""

    visit: gr.State
    model: gr.Dropdown
    analyse: gr.Button
    notice: gr.HTML


def panel(context: SiteContext) -> ChatParts:
    """Lays out the chat in the tab that is open."""
    t = context.t
    chat = Chat(context, context.questions)
    visit, seen = gr.State(None), gr.State(())
    with gr.Row(equal_height=False, elem_id="chat-choices"):
        model = gr.Dropdown([], label=t("chat.model"), elem_id="chat-model", scale=1, min_width=140)
        preset = gr.Dropdown(
            preset_choices(chat.questions, t),
            value="",
            label=t("chat.preset"),
            elem_id="chat-preset",
            scale=2,
            min_width=140,
        )
    with gr.Column(elem_id="chat-talk"):
        log = gr.Chatbot(
            label=t("chat.conversation"),
            show_label=False,
            elem_id="chat-log",
            height="100%",
            placeholder=html.escape(t("chat.empty")).replace("\n", "<br>"),
            render_markdown=False,
            feedback_options=None,
            buttons=["copy"],
            allow_tags=False,
        )
        with gr.Column(elem_id="chat-ask"):
            notice = gr.HTML("", elem_id="chat-notice")
            box = gr.MultimodalTextbox(
                placeholder=t("chat.placeholder"),
                show_label=False,
                file_count="multiple",
                sources=["upload"],
                max_plain_text_length=LONGEST_QUESTION,
                elem_id="chat-box",
                max_lines=8,
            )
    minutes = f"{context.options.keep_uploads_s / 60:g}"
    limit = html.escape(t("chat.upload_limit", limit=context.options.upload_mb, minutes=minutes))
    with gr.Row(elem_id="chat-below"):
        gr.HTML(f'<div id="chat-hint">{limit}</div>', scale=3, min_width=240)
        analyse = gr.Button(
            t("chat.analyse"),
            size="sm",
            variant="primary",
            visible=False,
            scale=1,
            min_width=200,
            elem_id="chat-analyse",
        )
        fresh = gr.Button(t("chat.new"), size="sm", scale=1, min_width=140, elem_id="chat-new")
    with gr.Accordion(t("chat.more"), open=False):
        tokens = gr.Slider(1, LONGEST_ANSWER, USUAL_ANSWER, step=1, label=t("chat.tokens"), elem_id="chat-tokens")
    outputs = [log, box, notice, visit]
    # The log alone shows that an answer is waited for.
    waited = {**SILENT, "show_progress_on": [log], "concurrency_limit": AT_ONCE}
    asked = box.submit(chat.send, [box, model, tokens, visit], outputs, **waited)
    box.stop(chat.stop, visit, None, queue=False, **SILENT)
    begun = gr.on([fresh.click, log.clear], chat.begin_anew, visit, outputs, queue=False, **SILENT)
    # Until a page has heard that an answer is over, Gradio drops a question without a word.
    asked.then(chat.rest, None, box, queue=False, **SILENT)
    for event in (asked, begun):
        event.then(chat.offer, visit, analyse, queue=False, **SILENT)
    preset.input(chat.preset, [preset, box], box, queue=False, **SILENT)
    gr.on(None, chat.choices, [model, seen], [model, preset, seen], queue=False, **SILENT)
    gr.Timer(EVERY_S).tick(chat.choices, [model, seen], [model, preset, seen], queue=False, **SILENT)
    return ChatParts(visit, model, analyse, notice)
