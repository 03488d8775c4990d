"""One request of the chat: the submitted message, and the frames of the upload that are attached to it."""

import re
import threading
from dataclasses import dataclass

from vigil.analysis import Analysis
from vigil.chat import Attachment, TimeSpan, attach_camera, attach_picture, attach_pictures, attach_video
from vigil.frames import FrameSampling
from vigil.models import family_reading
from vigil.sources.image_worker import worker

from .uploads import Upload

SPAN = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)-(\d{1,7}(?:\.\d{1,3})?)")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One submitted message and how to ask it; `about` is the time span selected on the timeline."""

    text: str
    files: list[str]
    model: str
    tokens: int
    mode: str
    about: TimeSpan | None


def parse_span(about: str) -> TimeSpan | None:
    """Parses the time span selected on the page, `from-to` in seconds; returns None if it is malformed."""
    found = SPAN.fullmatch(about or "")
    return TimeSpan(start_s=float(found[1]), end_s=max(float(found[1]), float(found[2]))) if found else None


def attach_upload(
    upload: Upload,
    sampling: FrameSampling,
    most_frames: int,
    stop: threading.Event,
    span: TimeSpan | None,
    analysis: Analysis | None,
) -> Attachment:
    """The frames of an upload, or of a part of it, as an attachment; raises SourceError if there are none."""
    if upload.address is not None and span is not None:
        part = span.within(None, moment_s=(sampling.frames - 1) / sampling.fps)
        is_analysed = analysis is not None and analysis.address == upload.address
        kept = analysis.recent.between(part.start_s, part.end_s) if analysis is not None and is_analysed else []
        return attach_pictures(kept, sampling, most_frames=most_frames)
    if upload.address is not None:
        return attach_camera(upload.address, sampling, stop=stop)
    if upload.kind == "picture":
        return attach_picture(upload.path, family=family_reading(sampling), read=worker().read_image)
    return attach_video(upload.path, sampling, most_frames=most_frames, span=span, stop=stop)
