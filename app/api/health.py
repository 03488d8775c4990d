"""How the service is: alive, ready, its metrics, its version, what the watch does, who you are, and the audit table."""

from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Query, Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from vigil import __version__
from vigil.errors import VigilError, redact
from vigil.questions import Question
from vigil.store import EventFilter
from vigil.store.data_version import KeptReading
from vigil.store.event_record import EventState
from vigil.watch.prometheus import PrometheusMetrics
from vigil.watch.watcher import Watcher

from ..problems import UnavailableError, problem
from .auth import AnyCaller, AuditReader, JudgeCaller, MetricsReader
from .context import ApiContext
from .live import LiveHub
from .schemas import (
    AuditList,
    AuditOut,
    HealthOut,
    LabelOut,
    QuestionList,
    QuestionOut,
    ReadyOut,
    SessionOut,
    StatusOut,
    VersionOut,
    as_answer,
    problems,
)

MOST_ENTRIES = 200
WAITING: tuple[EventState, ...] = ("alarm", "to_review")
Check = Literal["ok", "failing"]


class ServiceMetrics:
    """The metrics of the watch, whichever watcher runs at the moment, and of the service."""

    def __init__(self, context: ApiContext, hub: LiveHub) -> None:
        self._context = context
        self._metrics = PrometheusMetrics()
        self._followed: Watcher | None = None
        clients = Gauge("vigil_live_clients", "Clients of /api/v1/live", registry=self._metrics.registry)
        clients.set_function(lambda: hub.clients)
        if context.site.service is not None:
            context.site.service.subscribe(self._metrics)

    def text(self) -> bytes:
        """All of them in Prometheus' text form."""
        watch = None if self._context.site.service is None else self._context.site.service.watch
        if watch is not None and watch is not self._followed:
            self._followed = watch
            self._metrics.follow(watch)
        return generate_latest(self._metrics.registry)


class WaitingCounts:
    """How many alarms and events to review wait for somebody, counted anew when the change log has grown.

    Counting looks at every event, and every page asks every few seconds. None without a store.
    """

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._known: tuple[int, int, int] | None = None
        self._kept = KeptReading(context.store_version, self._counted)

    def now(self) -> tuple[int | None, int | None]:
        """Alarms, and events to review; nothing is read as long as nothing is committed to the store."""
        return self._kept.now()

    def _counted(self) -> tuple[int | None, int | None]:
        try:
            store = self._context.store
        except UnavailableError:
            return None, None
        last, known = store.changes.last(), self._known
        if known is None or known[0] != last:
            alarms, to_review = (store.events.count(EventFilter(state=state)) for state in WAITING)
            known = self._known = (last, alarms, to_review)
        return known[1], known[2]


def health_router(context: ApiContext, hub: LiveHub) -> APIRouter:
    """The routes about the service itself."""
    router = APIRouter(tags=["service"])
    metrics, counts = ServiceMetrics(context, hub), WaitingCounts(context)

    @router.get("/health", response_model=HealthOut, responses=problems())
    async def health() -> HealthOut:
        """Answers as long as the process lives; needs no key."""
        return HealthOut()

    @router.get("/ready", response_model=ReadyOut, responses=problems(503))
    async def ready() -> Response | ReadyOut:
        """Whether it watches, the endpoint answers and the store can be read; needs no key."""
        checks = await anyio.to_thread.run_sync(_checks, context)
        failing = [name for name, told in checks.items() if told != "ok"]
        if failing:
            return problem(503, f"not ready: {', '.join(failing)}", kind="not-ready", checks=checks)
        return ReadyOut(checks=checks)

    @router.get("/version", response_model=VersionOut, responses=problems())
    async def version(caller: AnyCaller) -> VersionOut:
        """The versions of Vigil and of this interface."""
        return VersionOut(vigil=__version__)

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "Metrics", "content": {"text/plain": {}}}, **problems()},
    )
    def read_metrics(caller: MetricsReader) -> Response:
        """Everything that is counted and measured, for Prometheus."""
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @router.get("/status", response_model=StatusOut, responses=problems(503))
    def status(caller: AnyCaller) -> Any:
        """What the watch does as a whole, and what keeps it from judging."""
        return as_answer(_status(context, hub, counts))

    @router.get("/session", response_model=SessionOut, responses=problems())
    async def session(caller: AnyCaller) -> SessionOut:
        """Who you are to the service, and for pages the CSRF token of their session."""
        return SessionOut(
            name=caller.name,
            role=caller.role.value,
            kind=caller.kind,
            scopes=list(caller.scopes),
            csrf_token=caller.csrf_token,
        )

    @router.get("/questions", response_model=QuestionList, responses=problems())
    async def questions(caller: JudgeCaller) -> QuestionList:
        """The questions that can be asked with POST /judge."""
        return QuestionList(questions=[_question(each) for each in context.site.questions])

    @router.get("/audit", response_model=AuditList, responses=problems(503))
    def audit(
        caller: AuditReader,
        before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 50,
    ) -> AuditList:
        """What users and keys have done, the latest first."""
        found = context.store.audit.newest(before=before, limit=limit + 1)
        entries = [
            AuditOut(
                number=each.number,
                at_utc=each.at_utc,
                who=each.who,
                address=each.address,
                act=each.act,
                details=dict(each.details),
            )
            for each in found[:limit]
        ]
        return AuditList(entries=entries, next=entries[-1].number if len(found) > limit else None)

    return router


def _question(question: Question) -> QuestionOut:
    labels = [LabelOut(name=each.name, word=each.word, is_alarm=each.is_alarm) for each in question.labels]
    return QuestionOut(
        name=question.name, title=question.title, language=question.language, text=question.text, labels=labels
    )


def _checks(context: ApiContext) -> dict[str, Check]:
    site = context.site
    told: dict[str, Check] = {
        "endpoint": "ok" if site.status.now.is_up else "failing",
        "watch": "ok" if site.service is not None and site.service.watch is not None else "failing",
    }
    if site.settings.store:
        told["store"] = "ok" if _can_read(context) else "failing"
    return told


def _can_read(context: ApiContext) -> bool:
    try:
        context.store.changes.last()
    except VigilError:
        return False
    return True


def _status(context: ApiContext, hub: LiveHub, counts: WaitingCounts) -> StatusOut:
    alarms, to_review = counts.now()
    site, now = context.site, context.site.status.now
    service = site.service
    breaker = None if service is None else service.breaker
    judge = None if service is None else service.judge
    return StatusOut(
        problem=_problem(context),
        is_watching=service is not None and service.watch is not None,
        is_endpoint_up=now.is_up,
        is_calibrated=now.is_calibrated,
        endpoint=redact(site.endpoint.url),
        models=[model.name for model in now.models],
        model="" if judge is None else judge.model,
        breaker="" if breaker is None else breaker.state,
        differences=None if now.differences is None else list(now.differences),
        load=None if now.load is None else list(now.load),
        warnings=[] if service is None else list(service.warnings),
        cameras=0 if service is None else len(service.addresses),
        open_alarms=alarms,
        to_review=to_review,
        live_clients=hub.clients,
    )


def _problem(context: ApiContext) -> str:
    """What keeps the cameras from being judged; empty if nothing does."""
    now, service = context.site.status.now, context.site.service
    if now.problem:
        return redact(now.problem)
    if service is None:
        return "nothing is watched"
    if service.problem:
        return redact(service.problem)
    breaker = service.breaker
    return redact(breaker.reason) if breaker is not None and breaker.state == "open" else ""
