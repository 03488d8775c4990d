"""A whole score: connect the judge, ask about every clip, weigh the answers.

scored = await score_model(endpoint, task, sampling, clips, journal=Path("verdicts.jsonl"))
print(score_table([scored.score]))
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vigil.frames import FrameSampling
from vigil.judge import Endpoint, Judge, MediaForm
from vigil.judge.reading import MIN_MASS
from vigil.manifest import Calibration, Contract
from vigil.score.combine import CombineRule, per_clip, per_window
from vigil.score.items import EvalClip
from vigil.score.journal import Journal, JournalEntry
from vigil.score.metrics import expected_calibration_error
from vigil.score.pace import measure_throughput
from vigil.score.run import IN_FLIGHT, NullScoreObserver, ScoreObserver, ScoreRun, count_unanswered
from vigil.score.scorecard import THRESHOLD, Score, figures, known_predictions
from vigil.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """How to score; `deadline_s` bounds a request with its wait at the server.

    A window whose verdict words have less of the probability than `min_mass` is unknown.
    """

    in_flight: int = IN_FLIGHT
    deadline_s: float = 300.0
    rule: CombineRule = "top2"
    threshold: float = THRESHOLD
    min_mass: float = MIN_MASS
    fresh: bool = False
    strict: bool = False
    media: MediaForm | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreResult:
    """A score and the verdicts behind it."""

    score: Score
    records: tuple[JournalEntry, ...]


async def score_model(
    endpoint: Endpoint,
    task: Task,
    sampling: FrameSampling,
    clips: Sequence[EvalClip],
    *,
    journal: Path,
    settings: ScoreSettings | None = None,
    calibration: Calibration | None = None,
    observer: ScoreObserver | None = None,
) -> ScoreResult:
    """Scores one served model; raises EndpointError when the server cannot be used."""
    settings = settings or ScoreSettings()
    async with await Judge.connect(
        endpoint,
        task,
        sampling,
        strict=settings.strict,
        pinned=True,
        min_mass=settings.min_mass,
        media=settings.media,
        deadline_s=settings.deadline_s,
        calibration=calibration,
        max_in_flight=settings.in_flight,
    ) as judge:
        header = _header(endpoint, judge, Contract.of(task, sampling))
        with Journal(journal, header=header, fresh=settings.fresh) as opened:
            run = ScoreRun(
                judge=judge, journal=opened, in_flight=settings.in_flight, observer=observer or NullScoreObserver()
            )
            records = await run.ask_all(clips)
        notes = {
            "media": judge.media,
            "contract_differences": list(judge.contract_differences),
            "min_mass": settings.min_mass,
        }
    score = score_entries(judge.model, clips, records, settings=settings, calibration=calibration, notes=notes)
    return ScoreResult(score=score, records=tuple(records))


def _header(endpoint: Endpoint, judge: Judge, contract: Contract) -> dict[str, str]:
    calibration = judge.calibration
    return {
        "url": endpoint.url,
        "model": judge.model,
        "contract": contract.alias,
        "media": judge.media,
        "min_mass": f"{judge.min_mass:g}",
        "calibration": "" if calibration is None else f"{calibration.temperature}:{calibration.bias}",
    }


def score_entries(
    model: str,
    clips: Sequence[EvalClip],
    records: Sequence[JournalEntry],
    *,
    settings: ScoreSettings,
    calibration: Calibration | None = None,
    notes: dict[str, Any] | None = None,
) -> Score:
    """The score that verdicts make."""
    answers = per_clip(clips, records, rule=settings.rule)
    beside: dict[str, Any] = dict(notes or {})
    beside["unanswered"] = count_unanswered(records)
    beside["calibration"] = None if calibration is None else asdict(calibration)
    if calibration is not None:
        raw = per_clip(clips, [record.uncalibrated() for record in records], rule=settings.rule)
        beside["ece_uncalibrated"] = expected_calibration_error(*known_predictions(raw))
    return Score(
        model=model,
        figures=figures(answers, threshold=settings.threshold),
        windows=figures(per_window(clips, records), threshold=settings.threshold),
        pace=measure_throughput(records),
        answers=tuple(answers),
        threshold=settings.threshold,
        rule=settings.rule,
        notes=beside,
    )
