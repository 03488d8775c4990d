"""What every panel gets: the site's options and services, one `SiteContext` per language.

A panel is a function `panel(context: SiteContext) -> None` that lays out its components inside the open tab. It keeps
the state of a visitor in `gr.State`, never in a module. The list of preset questions and the errors that visitors see
are here too.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vigil.errors import UsageError
from vigil.judge import Endpoint
from vigil.questions import Question, list_questions
from vigil.store.users import Role
from vigil.watch import WatchSettings

from .. import audit_log
from ..access import SESSION_S
from ..accounts import Accounts
from ..allowed_cameras import AllowedCameras, parse_allowed
from ..endpoint_monitor import EndpointMonitor
from ..http.connections import ConnectionLimits
from ..http.tls import Certificate
from ..language import Language, Translator
from ..meaning_search import MeaningSearcher
from ..passwords import UserDirectory, Users
from ..trusted_proxies import TrustedProxies
from .analysis_slots import AnalysisSlots
from .chat_session import escape_html
from .root_path import RootPath
from .upload_quota import UploadLimits
from .uploads import Uploads

if TYPE_CHECKING:
    import gradio as gr

    from vigil.watch.background import BackgroundWatcher

MB = 1024 * 1024

FOR_ADMINS = frozenset({"add a camera", "remove a camera"})
"""Acts that an operator may not do, as with the service (`app.api.cameras`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """The operator's options; without `users` and `accounts` there is no sign-in. Raises UsageError.

    `accounts` are the users of the file and of the store, and the keys of the store.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    users: Users = field(default_factory=Users)
    accounts: Accounts | None = None
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

    @property
    def directory(self) -> UserDirectory:
        """The users of the file and, if there is one, of the store."""
        return self.users if self.accounts is None else self.accounts

    def __post_init__(self) -> None:
        for camera in self.allow_cameras:
            parse_allowed(camera)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteContext:
    """What the panels share: endpoint, settings, questions, folders, and the texts `t(key)`."""

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
    meaning: MeaningSearcher = field(default_factory=MeaningSearcher)

    @property
    def language(self) -> Language:
        """The language of this page."""
        return self.t.language

    def who(self, request: "gr.Request | None") -> str:
        """The name of the signed-in user, or `local` if there is no sign-in."""
        return (request.user.display_name if request is not None else "") or "local"

    def allow_change(self, act: str, request: "gr.Request | None", **details: str) -> None:
        """Writes a change that others see to the audit log; raises UsageError for viewers."""
        who = self.who(request)
        address = str(request.client.host) if request is not None and request.client else ""
        role = Role.ADMIN if act in FOR_ADMINS else Role.OPERATOR
        if not self.options.directory.may_change(who, role=role):
            audit_log.record(f"refused to {act}", user=who, address=address, **details)
            raise UsageError(self.t("site.viewers_look"))
        audit_log.record(act, user=who, address=address, **details)


NONE = ""

USUAL_QUESTIONS: dict[Language, str] = {"en": "fight_en", "zh": "fight"}
"""The preset that a page of each language begins with."""


def preset_choices(questions: Sequence[Question], t: Translator, *, trained: str = "") -> list[tuple[str, str]]:
    """`(title, name)` of every question; `trained` is the name of the one that the served model was trained on."""
    ordered = sorted(questions, key=lambda question: (question.name != trained, question.language != t.language))
    titles = [(_title(question, t, trained=trained), question.name) for question in ordered]
    return [(t("chat.preset_none"), NONE), *titles]


def _title(question: Question, t: Translator, *, trained: str) -> str:
    return t("chat.preset_trained", title=question.title) if question.name == trained else question.title


def trained_question(questions: Sequence[Question], alias: str) -> str:
    """The name of the question whose labels a served contract has; empty if there is none."""
    parts = dict(part.partition("=")[::2] for part in alias.split(":")[1:])
    digest = parts.get("question", "")
    return next((q.name for q in questions if q.labels and digest and _digest(q) == digest), "")


def usual_question(questions: Sequence[Question], language: Language) -> Question | None:
    """The question that a page of this language asks unless something else is chosen."""
    return next((question for question in questions if question.name == USUAL_QUESTIONS[language]), None)


def _digest(question: Question) -> str:
    from vigil.frames import FrameSampling
    from vigil.manifest import Contract

    return Contract.of(question, FrameSampling()).question_digest


class RequestRefused(Exception):
    """A request that cannot be met: why, in the page's language, and whether to give back the message's file too."""

    def __init__(self, message: str, *, detail: str = "", keeps_files: bool = False) -> None:
        self.detail = detail
        self.keeps_files = keeps_files
        super().__init__(message)


def error_toast(t: Translator, key: str, error: Exception) -> "gr.Error":
    """A toast for an error of the library: the page's text for `key`, then the library's message."""
    import gradio as gr  # only here: `app.server` loads this module before it loads Gradio without its stub files

    return gr.Error(escape_html(f"{t(key)} {error}"), title=t("site.problem"), print_exception=False)


def notice_html(message: str, detail: str = "", *, quiet: bool = False) -> str:
    """A notice as HTML, escaped; `detail` is a message of the library."""
    if not message:
        return ""
    more = f"<small>{html.escape(detail)}</small>" if detail else ""
    kind = ' is-quiet" role="status' if quiet else '" role="alert'
    return f'<div class="vigil-notice{kind}">{html.escape(message)}{more}</div>'
