"""Polls the endpoint for the status line: availability, served model, contract differences and load.

One task polls for all visitors, every `EVERY_S` seconds, so every page sees a server that comes back.
"""

import asyncio
import contextlib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from vigil.errors import EndpointError, EndpointUnreachable, VigilError, redact
from vigil.judge import Endpoint
from vigil.judge.contract import DEFAULT_QUESTION
from vigil.judge.discovery import ServedModel, list_models, open_openai_client
from vigil.judge.endpoint_http import EndpointHttp, UnusableAnswerError
from vigil.judge.model_client import is_transient
from vigil.manifest import MODEL_DIR_ADVICE, Contract, calibration_in, parse_alias, read_manifest
from vigil.questions import load_question
from vigil.watch import WatchSettings

from .language import Translator

EVERY_S = 3.0
TIMEOUT_S = 2.5
METRIC = re.compile(r"^vllm:num_requests_(running|waiting)(?:\{[^}]*\})? ([0-9.eE+]+)$", re.MULTILINE)
START_COMMAND = "./vllm.sh MODEL_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """The last known state of the endpoint; `problem` says why it cannot be used, and is None before the first poll.

    `is_away` is True if nothing answers, or the failure is temporary; a server that answers may still refuse the key or
    serve nothing. `differences` is None if the server declares no contract, `load` (running, waiting) if it reports
    none. `is_calibrated` says whether probabilities are calibrated by the model folder.
    """

    problem: str | None = None
    models: tuple[ServedModel, ...] = ()
    differences: tuple[str, ...] | None = None
    load: tuple[int, int] | None = None
    polled: bool = False
    is_away: bool = False
    is_calibrated: bool = False

    @property
    def is_up(self) -> bool:
        """Whether the endpoint answered and serves a model."""
        return self.polled and self.problem is None


class EndpointMonitor:
    """Polls the endpoint while `follow` runs; `now` is the latest status."""

    def __init__(self, endpoint: Endpoint, settings: WatchSettings) -> None:
        self.endpoint = endpoint
        self.now = EndpointStatus()
        self._settings = settings

    async def follow(self) -> None:
        """Polls every few seconds until cancelled."""
        async with (
            open_openai_client(self.endpoint, timeout_s=TIMEOUT_S, retries=0) as client,
            EndpointHttp(self.endpoint, deadline_s=TIMEOUT_S) as http,
        ):
            while True:
                try:
                    models = tuple(await list_models(client, self.endpoint, http))
                    self.now = self._status_of(models, load=await self.load(http))
                except EndpointError as error:
                    away = isinstance(error, EndpointUnreachable)
                    self.now = EndpointStatus(problem=redact(str(error)), polled=True, is_away=away)
                await asyncio.sleep(EVERY_S)

    def _status_of(self, models: Sequence[ServedModel], *, load: tuple[int, int] | None) -> EndpointStatus:
        problem = None if models else f"{self.endpoint.url} serves no model"
        return EndpointStatus(
            problem=problem,
            models=tuple(models),
            differences=self._differences(models),
            load=load,
            polled=True,
            is_calibrated=self._is_calibrated(),
        )

    def _is_calibrated(self) -> bool:
        """Whether probabilities are calibrated; read each time, since `vigil calibrate` may run at any time."""
        try:
            return calibration_in(self._settings.model_dir) is not None
        except VigilError:
            return False

    def _differences(self, models: Sequence[ServedModel]) -> tuple[str, ...] | None:
        """How the served contract differs from the one that the watch uses; None if the server declares none."""
        model_name = self._settings.model
        served = next((m for m in models if m.alias and model_name in ("", m.name)), None)
        if served is None:
            return None
        alias = served.alias
        if self._settings.task is None and self._settings.model_dir is None and served.contract is not None:
            return ()
        try:
            return tuple(self._contract(alias).differences(alias))
        except VigilError as error:
            return (str(error),)

    def _contract(self, alias: str) -> Contract:
        if self._settings.model_dir is not None:
            return read_manifest(self._settings.model_dir, advice=MODEL_DIR_ADVICE).contract
        return Contract.of(load_question(self._settings.task or DEFAULT_QUESTION), parse_alias(alias))

    async def load(self, http: EndpointHttp) -> tuple[int, int] | None:
        """Running and waiting requests, as vLLM counts them over all its models.

        Returns None if the server has no such metrics; after a failed request the previous figures stay.
        """
        try:
            answer = await http.get(f"{self.endpoint.root}/metrics")
        except UnusableAnswerError:
            return None
        except (aiohttp.ClientError, TimeoutError):
            return self.now.load
        if is_transient(answer.status):
            return self.now.load
        return _counted(answer.text) if answer.is_success else None


def _counted(metrics: str) -> tuple[int, int] | None:
    counts = {"running": 0.0, "waiting": 0.0}
    found = METRIC.findall(metrics)
    with contextlib.suppress(ValueError):
        for kind, value in found:
            counts[kind] += float(value)
        return (int(counts["running"]), int(counts["waiting"])) if found else None
    return None


def status_line(status: EndpointStatus, endpoint: Endpoint, t: Translator) -> str:
    """The status as HTML; everything that comes from the server is escaped."""
    if not status.polled:
        return f'<div class="vigil-status">{_cell("wait", html.escape(t("status.asking")))}</div>'
    if not status.is_up:
        return _down(status, endpoint, t)
    names = ", ".join(model.name for model in status.models)
    cells = (
        _cell("up", html.escape(t("status.up"))),
        _pair(t("status.endpoint"), endpoint.url),
        _pair(t("status.model"), names),
        _contract_pair(status, t),
        _pair(t("status.load"), _load_text(status, t)),
        _probabilities_pair(status, t),
    )
    return f'<div class="vigil-status">{"".join(cells)}</div>'


def _down(status: EndpointStatus, endpoint: Endpoint, t: Translator) -> str:
    why = html.escape(status.problem or "", quote=True)
    if not status.is_away:
        cell = _cell("down", html.escape(t("status.unusable")))
        return f'<div class="vigil-status is-down" role="alert">{cell}<span>{why}</span></div>'
    command = f"<code>{html.escape(START_COMMAND)}</code>"
    advice = html.escape(t("status.what_to_do")).replace("{command}", command)
    cells = _cell("down", html.escape(t("status.down"))) + _pair(t("status.endpoint"), endpoint.url)
    return f'<div class="vigil-status is-down" role="alert" title="{why}">{cells}<span>{advice}</span></div>'


def _contract_pair(status: EndpointStatus, t: Translator) -> str:
    if status.differences is None:
        return _pair(t("status.contract"), t("status.contract_untold"))
    if not status.differences:
        return _pair(t("status.contract"), t("status.contract_match"))
    return _pair(t("status.contract"), t("status.contract_differs"), title="; ".join(status.differences), kind="bad")


def _probabilities_pair(status: EndpointStatus, t: Translator) -> str:
    if status.is_calibrated:
        return _pair(t("status.probabilities"), t("status.calibrated"))
    return _pair(t("status.probabilities"), t("status.not_calibrated"), title=t("status.calibrate_how"))


def _load_text(status: EndpointStatus, t: Translator) -> str:
    if status.load is None:
        return t("status.load_untold")
    return t("status.load_figures", running=status.load[0], waiting=status.load[1])


def _cell(kind: str, text: str) -> str:
    return f'<span class="vigil-lamp is-{kind}">{text}</span>'


def _pair(name: str, value: str, *, title: str = "", kind: str = "") -> str:
    hint = f' title="{html.escape(title, quote=True)}"' if title else ""
    return f'<span class="vigil-pair {kind}"{hint}><b>{html.escape(name)}</b> {html.escape(value)}</span>'
