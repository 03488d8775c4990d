"""What every panel is given: one frozen description of the site, once for each language.

A panel is a function `panel(context: SiteContext) -> None` that lays out its components inside the tab that the
site has opened. It keeps what belongs to one visitor in `gr.State`, never in a module.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from app.web.allowed import AllowedCameras, parse_allowed
from app.web.language import Language, Translator
from app.web.status import StatusBoard
from app.web.uploads import Uploads
from vigil.judge import Endpoint
from vigil.tasks import Question, load_questions
from vigil.watch import WatchSettings

if TYPE_CHECKING:
    import gradio as gr

    from vigil.watch.service import WatchService

MB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """What the operator asks for at the start; `users` maps names to passwords. Raises UsageError."""

    host: str = "127.0.0.1"
    port: int = 7860
    users: dict[str, str] = field(default_factory=dict, repr=False)
    upload_mb: int = 500
    keep_uploads_s: float = 3600.0
    folder: Path = Path("outputs/web")
    allow_cameras: tuple[str, ...] = ()
    allow_any_camera: bool = False

    def __post_init__(self) -> None:
        for word in self.allow_cameras:
            parse_allowed(word)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteContext:
    """What the panels share: endpoint, settings, what may be asked, where things are kept, and the words `t(key)`."""

    t: Translator
    options: SiteOptions
    settings: WatchSettings
    endpoint: Endpoint
    status: StatusBoard
    uploads: Uploads
    questions: tuple[Question, ...] = field(default_factory=lambda: tuple(load_questions()))
    allowed: AllowedCameras = field(default_factory=AllowedCameras)
    service: "WatchService | None" = None

    @property
    def language(self) -> Language:
        """The language of this page."""
        return self.t.language

    def who(self, request: "gr.Request") -> str:
        """Who is asking: the name that was logged in with, or `local` where nobody has to."""
        return request.username or "local"
