"""What every panel is given: one frozen description of the site, once for each language.

A panel is a function `panel(context: SiteContext) -> None` that lays out its components inside the tab that the
site has opened. It keeps what belongs to one visitor in `gr.State`, never in a module.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from app.web import audit
from app.web.access import SESSION_S
from app.web.allowed import AllowedCameras, parse_allowed
from app.web.descriptors import ConnectionLimits
from app.web.language import Language, Translator
from app.web.passwords import Users
from app.web.places import AnalysisSlots
from app.web.proxies import TrustedProxies
from app.web.quota import UploadLimits
from app.web.root_path import RootPath
from app.web.status import EndpointMonitor
from app.web.tls import Certificate
from app.web.uploads import Uploads
from vigil.errors import UsageError
from vigil.judge import Endpoint
from vigil.tasks import Question, list_questions
from vigil.watch import WatchSettings

if TYPE_CHECKING:
    import gradio as gr

    from vigil.watch.service import BackgroundWatcher

MB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """What the operator asks for at the start; without `users` nobody has to sign in. Raises UsageError."""

    host: str = "127.0.0.1"
    port: int = 7860
    users: Users = field(default_factory=Users)
    session_s: float = SESSION_S
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)
    root: RootPath = field(default_factory=RootPath)
    tls: Certificate | None = None
    upload_mb: int = 500
    upload_limits: UploadLimits = field(default_factory=UploadLimits)
    connection_limits: ConnectionLimits = field(default_factory=ConnectionLimits)
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
    status: EndpointMonitor
    uploads: Uploads
    questions: tuple[Question, ...] = field(default_factory=lambda: tuple(list_questions()))
    allowed: AllowedCameras = field(default_factory=AllowedCameras)
    places: AnalysisSlots = field(default_factory=AnalysisSlots)
    service: "BackgroundWatcher | None" = None

    @property
    def language(self) -> Language:
        """The language of this page."""
        return self.t.language

    def who(self, request: "gr.Request | None") -> str:
        """Who is asking: the name that was signed in with, or `local` where nobody has to."""
        return (request.user.display_name if request is not None else "") or "local"

    def allow_change(self, act: str, request: "gr.Request | None", **details: str) -> None:
        """Notes that somebody changes what others see; raises UsageError for one who may only look."""
        who = self.who(request)
        address = str(request.client.host) if request is not None and request.client else ""
        if not self.options.users.may_change(who):
            audit.record(f"refused to {act}", user=who, address=address, **details)
            raise UsageError(self.t("site.viewers_look"))
        audit.record(act, user=who, address=address, **details)
