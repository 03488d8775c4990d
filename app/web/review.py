"""The review: search, view and mark events.

Newest first, in pages; a click or `j`/`k` opens an event; `t`, `f`, `u` mark it. A mark records who made it and when,
and can be searched by.
"""

from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from vigil.errors import VigilError
from vigil.events import MarkValue
from vigil.store import Store

from ..language import Translator
from . import event_search
from .context import SiteContext, error_toast
from .event_detail import marks_html, read_event, read_event_media
from .event_search import EventQuery
from .event_store import open_store
from .gradio_patches import SILENT

SCRIPTS = Path(__file__).resolve().parent / "scripts"
CSS = (SCRIPTS / "review.css").read_text(encoding="utf-8")
AGAIN = "() => document.dispatchEvent(new CustomEvent('vigil-find-again'))"
MARKED = "() => document.dispatchEvent(new CustomEvent('vigil-marked', { detail: 'WORD' }))"
REFUSED = "() => document.dispatchEvent(new CustomEvent('vigil-not-marked'))"
PICKED_NOW = "(_, opened) => [document.getElementById('review-detail').dataset.picked || '', opened]"
OPEN_NOW = "(_, note) => [document.getElementById('review-detail').dataset.open || '', note]"
"""The event picked last, and the one that is open; the browser keeps both (`scripts/review.js`)."""

Read = TypeVar("Read")
MARKS: tuple[MarkValue, ...] = ("true", "false_alarm", "unsure", "")
QUICK: dict[str, Any] = {**SILENT, "concurrency_limit": 8}


def panel(context: SiteContext) -> None:
    """Lays out the review, or a message if no events are kept."""
    store = open_store(context)
    if store is None:
        gr.Markdown(context.t("review.no_store"))
        return
    Review(context, store).lay_out()


class Review:
    """The components and event handlers of the review; holds no state of a visitor."""

    def __init__(self, context: SiteContext, store: Store) -> None:
        self._context = context
        self._store = store
        self._t = context.t

    def lay_out(self) -> None:
        """Lays out all components and connects their events."""
        self._number, self._query, self._opened_id = gr.State(0), gr.State(EventQuery()), gr.State("")
        self._meant = gr.Textbox(visible=False)
        self._fields = _fields(self._t)
        with gr.Row(elem_id="review"):
            with gr.Column(scale=2, min_width=320):
                self._list = gr.HTML(js_on_load=_script(), apply_default_css=False, elem_id="review-list")
                with gr.Row(elem_classes="review-pages"):
                    newer = gr.Button(self._t("review.newer"), size="sm", scale=0, min_width=90, elem_id="review-newer")
                    self._where = gr.HTML(elem_id="review-where")
                    older = gr.Button(self._t("review.older"), size="sm", scale=0, min_width=90, elem_id="review-older")
            with gr.Column(scale=3, min_width=320, elem_id="review-detail"):
                self._hint = gr.HTML(f'<div class="room-quiet">{self._t("review.pick")}</div>')
                with gr.Column(visible=False) as self._detail:
                    self._lay_out_detail()
        self._connect(newer, older)

    def _lay_out_detail(self) -> None:
        t = self._t
        self._facts = gr.HTML()
        self._shown_event = gr.HTML(apply_default_css=False, elem_id="review-seen")
        with gr.Row(elem_classes="review-marking"):
            self._buttons = [
                gr.Button(t(f"review.do_{word or 'none'}"), size="sm", min_width=90, elem_id=f"review-{word or 'none'}")
                for word in MARKS
            ]
        with gr.Row(elem_id="review-copy", visible=False) as self._copy:
            self._copy_line = gr.HTML(scale=1)
            self._original = gr.DownloadButton(
                t("review.original"), size="sm", scale=0, min_width=180, elem_id="review-original"
            )
        self._clip = gr.Video(
            label=t("review.clip"), interactive=False, autoplay=True, buttons=["download"], elem_id="review-clip"
        )
        self._note = gr.Textbox(label=t("review.note"), lines=1, max_lines=4, max_length=4000, elem_id="review-note")
        self._marks = gr.HTML(elem_id="review-marks")
        self._plot = gr.Plot(label=t("review.probability"), elem_id="review-plot")
        self._snapshot = gr.Image(
            label=t("review.snapshot"), interactive=False, buttons=["download", "fullscreen"], elem_id="review-snapshot"
        )
        # Collapsed at first: dozens of pictures would block the browser's connections for the next click.
        with gr.Accordion(t("review.frames"), open=False, elem_id="review-frames-box") as self._frames_box:
            self._frames = gr.Gallery(
                show_label=False, columns=6, height="auto", buttons=["download"], elem_id="review-frames"
            )

    @property
    def _text_outputs(self) -> list[Any]:
        return [self._opened_id, self._hint, self._detail, self._marks, self._note, self._facts]

    @property
    def _media_outputs(self) -> list[Any]:
        clip = [self._clip, self._copy, self._copy_line, self._original]
        return [self._shown_event, *clip, self._snapshot, self._frames_box, self._frames, self._plot]

    def _connect(self, newer: gr.Button, older: gr.Button) -> None:
        text, *chosen, since, until = self._fields
        # Times are read when complete: `input` of a text box misses pasted text.
        moments = [since.submit, since.blur, until.submit, until.blur]
        changes = [text.change, *(field.change for field in chosen), *moments]
        # One listener for all filters, so that a late response never replaces that of a newer query.
        gr.on(
            [*changes, self._list.submit],
            self._find,
            [self._number, self._query, *self._fields],
            [self._list, self._where, self._number, self._query],
            trigger_mode="always_last",
            **QUICK,
        )
        self._list.submit(self._sources, None, self._fields[1], **QUICK)
        for button, by in ((newer, -1), (older, +1)):
            button.click(partial(_turned, by), self._number, self._number, **QUICK).success(None, js=AGAIN)
        # For the same reason, one listener: what is shown is the event picked last.
        # Gradio loses the data of a postponed event, so the browser is asked again which event was picked.
        picking: dict[str, Any] = {
            "inputs": [self._meant, self._opened_id],
            "js": PICKED_NOW,
            "trigger_mode": "always_last",
        }
        shown_texts = self._list.pick(self.show_texts, outputs=self._text_outputs, **picking, **QUICK)
        # Separate, so that the next pick need not wait until a slow browser has drawn the rest of this one.
        shown_texts.success(self.show_media, self._opened_id, self._media_outputs, trigger_mode="always_last", **QUICK)
        for word, button in zip(MARKS, self._buttons, strict=True):
            options: dict[str, Any] = {"inputs": [self._meant, self._note], "js": OPEN_NOW, "trigger_mode": "multiple"}
            marking = button.click(self._mark(word), outputs=self._marks, **options, **QUICK)
            marking.success(None, js=MARKED.replace("WORD", word))
            marking.failure(None, js=REFUSED)

    def _find(self, number: int, last: EventQuery, *typed: str | None) -> list[Any]:
        """The requested page of the list; the first page if the query has changed."""
        query = EventQuery(*(text or "" for text in typed))
        try:
            page = event_search.find_event_page(self._store, query, number=number if query == last else 0)
        except VigilError as error:
            raise error_toast(self._t, "review.not_searched", error) from error
        html = event_search.as_html(page, is_filtered=query != EventQuery(), t=self._t)
        where = self._t("review.where", found=f"{page.found:,}", page=page.number + 1, pages=page.pages)
        return [html, where, page.number, query]

    def _sources(self) -> Any:
        return gr.update(
            choices=[(self._t("review.all"), ""), *((name, name) for name in self._store.events.sources())]
        )

    def show_texts(self, event_id: str, opened: str) -> list[Any]:
        """The texts of an event; if it is already open, only those that may have changed.

        A note being written and the marks stay: a mark may have been made since these were read.
        """
        texts = self._read(read_event, event_id)
        if event_id == opened:
            return [*(gr.skip() for _ in range(5)), texts.facts]
        # Hidden, not removed: a removed component's progress indicator would request a frame 60 times a second forever.
        shown = [gr.update(visible="hidden"), gr.update(visible=True)]
        return [event_id, *shown, texts.marks, texts.note, texts.facts]

    def show_media(self, event_id: str) -> list[Any]:
        """The clip, pictures and curve of the open event."""
        media = self._read(read_event_media, event_id)
        return [
            f'<i data-event="{escape(event_id, quote=True)}"></i>',
            gr.update(value=media.clip, visible=media.clip is not None),
            gr.update(visible=media.original is not None),
            media.clip_line,
            media.original,
            gr.update(value=media.snapshot, visible=media.snapshot is not None),
            gr.update(visible=bool(media.frames)),
            media.frames,
            media.curve,
        ]

    def _read(self, what: Callable[[Store, str, SiteContext], Read], event_id: str) -> Read:
        try:
            return what(self._store, event_id, self._context)
        except VigilError as error:
            raise error_toast(self._t, "review.not_opened", error) from error

    def _mark(self, value: MarkValue) -> Callable[..., Any]:
        def mark(event_id: str, note: str, request: gr.Request) -> Any:
            if not event_id:
                # Another event was picked but is not open yet; the visitor has not seen what would be marked.
                return gr.skip()
            try:
                self._context.allow_change("mark an event", request, event=event_id, mark=value)
                self._store.marks.add(event_id, value, who=self._context.who(request), note=(note or "").strip())
            except VigilError as error:
                raise error_toast(self._t, "review.not_marked", error) from error
            return marks_html(self._store.marks.of_event(event_id), self._t)

        return mark


def _turned(by: int, number: int) -> int:
    return number + by


def _fields(t: Translator) -> list[Any]:
    """Text, camera, tier, mark, from, until: in the order of `EventQuery`."""
    tiers = [(t("review.all"), ""), *((t(f"review.from_{tier}"), tier) for tier in ("low", "medium", "high"))]
    values = ("unmarked", "true", "false_alarm", "unsure")
    marks = [(t("review.all"), ""), *((t(f"review.mark_{value}"), value) for value in values)]
    with gr.Row(elem_id="review-fields"):
        return [
            gr.Textbox(label=t("review.text"), placeholder=t("review.text_hint"), elem_id="review-text", min_width=150),
            gr.Dropdown(
                [(t("review.all"), "")], value="", label=t("review.camera"), min_width=120, elem_id="review-camera"
            ),
            gr.Dropdown(tiers, value="", label=t("review.tier"), min_width=110, elem_id="review-tier"),
            gr.Dropdown(marks, value="", label=t("review.mark"), min_width=110, elem_id="review-mark"),
            gr.Textbox(label=t("review.since"), placeholder="2h, 3d", min_width=110, elem_id="review-since"),
            gr.Textbox(label=t("review.until"), placeholder="2026-11-20", min_width=110, elem_id="review-until"),
        ]


def _script() -> str:
    return (SCRIPTS / "review.js").read_text(encoding="utf-8")
