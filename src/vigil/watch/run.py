"""Runs a watcher from settings: finds the sources, opens the store, connects to the judge and watches.

    settings = load_config(WatchSettings, find_config("watch", "default"))
    summary = asyncio.run(run_watch(settings, api_key=read_key()))

Both `vigil watch` and `BackgroundWatcher` start here.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from vigil.errors import EndpointError, UsageError
from vigil.judge import Endpoint, Judge
from vigil.judge.contract import resolve_contract
from vigil.questions import load_question
from vigil.rules import checked_rules
from vigil.sources.address import Address, find_sources
from vigil.sources.source_identity import named_apart
from vigil.store import Store
from vigil.watch.alert_observer import AlertObserver
from vigil.watch.live_rules import WatchRules
from vigil.watch.observation_memory import memory_tokens
from vigil.watch.observers import WatchObserver
from vigil.watch.settings import WatchSettings
from vigil.watch.state import WatchSummary
from vigil.watch.watcher import Watcher

log = logging.getLogger(__name__)

ASK_AGAIN_S = 2.0
NOT_CALIBRATED = (
    "probabilities: not calibrated, so 0.9 need not mean nine in ten; run vigil calibrate with the model's folder, and "
    "name that folder with --model-dir"
)


async def run_watch(
    settings: WatchSettings,
    *,
    api_key: str = "",
    observers: Sequence[WatchObserver] = (),
    wait_s: float = 0.0,
    on_start: Callable[[Watcher], None] = lambda watch: None,
    addresses: Sequence[Address] | None = None,
    keep_running: bool = False,
    with_alerts: bool = True,
) -> WatchSummary:
    """Watches the sources of the settings until they end; waits up to `wait_s` for an endpoint that is not up yet.

    Sources from the settings get names that no other source of the store has. If `addresses` are given, they are
    watched instead, under their own names; with `keep_running` there may be none. `with_alerts` runs the outbox of the
    alerts, unless the caller does. `on_start` is called with the watcher before it runs. Raises UsageError,
    SourceError, StoreError and EndpointError before anything is watched.
    """
    found = find_sources(settings.sources) if addresses is None else []
    endpoint = endpoint_of(settings, api_key=api_key)
    with ExitStack() as stack:
        store = _open_store(settings)
        if store is not None:
            stack.enter_context(store)
        if with_alerts and store is not None and settings.alerts.sinks:
            # Told first, as an alarm is more urgent than a line on a screen.
            observers = [stack.enter_context(AlertObserver(settings.alerts, store)), *observers]
        if addresses is None:
            addresses = found if store is None else _named(found, store)
        async with await _connect(endpoint, settings, wait_s=wait_s) as judge:
            if judge.calibration is None:
                log.warning("%s", NOT_CALIBRATED)
            _check_rules(found, settings, judge)
            watch = Watcher(
                addresses,
                judge=judge,
                settings=settings,
                store=store,
                observers=observers,
                keep_running=keep_running,
            )
            on_start(watch)
            return await watch.run()


def _check_rules(found: Sequence[Address], settings: WatchSettings, judge: Judge) -> None:
    """Raises UsageError if the settings choose rules for a source that there are not; the task's name is known now."""
    own = judge.question
    rules = WatchRules.of(settings.rules, own=own).rules
    for address in found:
        try:
            _ = None if address.rules is None else checked_rules(rules, address.rules, own=own)
        except UsageError as error:
            raise UsageError(f"{address.name}: {error}") from error


def endpoint_of(settings: WatchSettings, *, api_key: str = "") -> Endpoint:
    """The endpoint of the settings; raises UsageError if it is invalid."""
    return Endpoint(url=settings.url, model=settings.model, api_key=api_key, ca_file=settings.ca_file)


def _named(found: Sequence[Address], store: Store) -> list[Address]:
    return named_apart(found, store.cameras.names(), store.cameras.renamed())


def _open_store(settings: WatchSettings) -> Store | None:
    return Store.open(settings.store, folder=settings.store_folder) if settings.store else None


def _beyond_question(settings: WatchSettings) -> int:
    """The most tokens of an answer and of a memory, for which the server's context must have room."""
    observe = settings.observe
    observed = observe.scene_question().answer_tokens if observe.is_on else 0
    return max(settings.describe_tokens, observed) + memory_tokens(observe.memory)


async def _connect(endpoint: Endpoint, settings: WatchSettings, *, wait_s: float) -> Judge:
    """Connects to the judge under the model's own contract; retries for `wait_s`, then raises EndpointError."""
    named = None if settings.task is None else load_question(settings.task)
    give_up_s = asyncio.get_running_loop().time() + wait_s
    while True:
        try:
            resolved = await resolve_contract(
                endpoint, question=named, model_dir=settings.model_dir, max_pixels=settings.max_pixels
            )
            return await Judge.connect(
                endpoint,
                resolved.question,
                resolved.sampling,
                **resolved.for_judge(),
                deadline_s=settings.deadline_s,
                min_label_probability=settings.min_label_probability,
                # The watcher limits its own requests, fairly among the sources; the others come on top.
                max_in_flight=settings.in_flight + settings.describe_in_flight + settings.observe.in_flight,
                retries=0,
                answer_tokens=_beyond_question(settings),
                alarm_from=settings.tiers.low,
            )
        except EndpointError as error:
            if asyncio.get_running_loop().time() >= give_up_s:
                raise
            log.warning("%s; trying again for %.0f s", error, give_up_s - asyncio.get_running_loop().time())
            await asyncio.sleep(ASK_AGAIN_S)
