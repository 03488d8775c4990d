"""What belongs to one visitor of the chat: kept in a `gr.State`, gone with the browser's page."""

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.web.language import Translator
from app.web.uploads import Upload
from vigil.chat import Conversation, Look
from vigil.store.moment import local

TAG = re.compile(r"<(?=[a-zA-Z/!?])")
ENTITY = re.compile(r"&(?=#?\w+)")

Shown = dict[str, Any]
"""One message of Gradio's chatbot."""


@dataclass(slots=True)
class Visit:
    """One visitor's conversation: `folder` holds the files, `shown` what the page shows, `stop` ends the answer.

    `left` once a new conversation has taken its place: what is still said in it is not shown any more.
    """

    folder: Path
    conversation: Conversation = field(default_factory=Conversation)
    shown: list[Shown] = field(default_factory=list)
    upload: Upload | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    busy: bool = False
    left: bool = False

    def show_question(self, question: str, upload: Upload | None, look: Look | None, t: Translator) -> None:
        """Adds the question with what it shows to the page."""
        if upload is not None and look is not None:
            self.shown.append(_says("user", caption(upload, look, t), picture=self._picture(upload, look)))
        self.shown += [_says("user", question), _says("assistant", "")]

    def show_answer(self, text: str) -> None:
        """Puts the answer so far in its place."""
        self.shown[-1] = _says("assistant", text)

    def take_back(self, marks: int) -> None:
        """Removes what was shown from a message on, as after a question without an answer."""
        del self.shown[marks:]

    def _picture(self, upload: Upload, look: Look) -> Path:
        """What stands for an upload: itself where a browser can show it, else a picture of the look."""
        if upload.kind == "picture" or upload.is_playable:
            return upload.path
        path = self.folder / f"look-{len(self.shown)}.jpg"
        path.write_bytes(look.jpegs[-1 if look.kind == "camera" else 0])
        return path


def caption(upload: Upload, look: Look, t: Translator) -> str:
    """What was attached and how much of it the model sees."""
    if look.kind == "picture":
        return t("chat.picture", name=upload.name)
    if look.kind == "camera":
        time = local(look.at_s or 0.0)
        name = upload.address.name if upload.address else upload.name
        return t("chat.camera", name=name, frames=len(look.jpegs), time=time)
    times = {"frames": len(look.jpegs), "start": f"{look.start_s:.1f}", "end": f"{look.end_s:.1f}"}
    if look.is_stretched:
        text = t("chat.video_spaced", name=upload.name, spacing=f"{look.spacing_s:.1f}", **times)
    else:
        text = t("chat.video", name=upload.name, **times)
    return text if upload.is_playable else f"{text}\n{t('chat.not_playable', name=upload.name)}"


def _says(role: str, text: str, *, picture: Path | None = None) -> Shown:
    """A message; as a typed part, so that Gradio leaves the white space of the text alone."""
    said = {"type": "text", "text": plain(text)}
    content = [said] if picture is None else [{"path": str(picture), "alt_text": text}, said]
    return {"role": role, "content": content}


def plain(text: str) -> str:
    """A text in which the chatbot, which reads HTML even without markdown, finds none.

    Only what would open a tag or an entity is replaced, so that `5 < 6` is copied from the page as it was written.
    """
    return TAG.sub("&lt;", ENTITY.sub("&amp;", text))
