"""The start of a source's session: it is recorded, and the rules of a live source go on where they were."""

from collections.abc import Awaitable
from functools import partial

from vigil.judge import Judge
from vigil.manifest import Contract
from vigil.watch.camera_ids import record_of
from vigil.watch.pipeline import SourcePipeline
from vigil.watch.resumed_rules import ResumedRules, RulesResumption
from vigil.watch.source_set import ManagedSource
from vigil.watch.store_writer import StoreWriter, resume_nothing


def record_start(
    writer: StoreWriter, source: SourcePipeline, managed: ManagedSource, judge: Judge
) -> Awaitable[ResumedRules | None] | None:
    """Queues the start of a session; returns what brings back the state of the rules, None if they begin anew.

    Nothing is awaited here: reading a camera must start even while another process has the database locked.
    """
    resumption = _resumption(writer, source, managed, task=judge.question.name)
    starting = writer.start_session(
        source.name,
        epoch_s=source.capture.started_utc_s,
        model=judge.model,
        task=judge.question.name,
        contract=Contract.of(judge.question, judge.sampling).alias,
        camera=partial(record_of, managed.address, source.state.camera_id),
        resume=resume_nothing if resumption is None else resumption.resume,
    )
    return None if resumption is None else resumption.finish(starting)


def _resumption(
    writer: StoreWriter, source: SourcePipeline, managed: ManagedSource, *, task: str
) -> RulesResumption | None:
    """None for a file, which begins anew with each watch, and for a source that was paused."""
    epoch_s = source.capture.started_utc_s
    if not managed.address.is_live or managed.previous is not None or epoch_s is None:
        return None
    return RulesResumption(
        writer.store,
        source=source.name,
        task=task,
        epoch_s=epoch_s,
        settings=source.live_rules.settings,
        build_rules=source.build_rules,
    )
