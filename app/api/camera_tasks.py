"""The questions of a camera as the service knows them: what it is told with, and which ones may be asked for."""

import re
from collections.abc import Iterable, Sequence

from vigil.errors import UsageError
from vigil.rules import CameraTask, ResolvedTask
from vigil.watch.task_calibrations import MARKS_NEEDED, MarkCalibration, TaskCalibrations

from .rule_schemas import AskWhenForm, TaskCalibrationOut, TaskOut

PRESET = re.compile(r"[\w-]+")


def told_tasks(
    chosen: Sequence[CameraTask], resolved: Iterable[ResolvedTask], calibrations: TaskCalibrations | None
) -> list[TaskOut]:
    """The questions of a camera, in their order; one that cannot be asked has no text."""
    found = {each.task: each for each in resolved}
    return [_told(task, found.get(task), calibrations) for task in chosen]


def _told(task: CameraTask, found: ResolvedTask | None, calibrations: TaskCalibrations | None) -> TaskOut:
    ask_when = None if task.ask_when is None else AskWhenForm.model_validate(task.ask_when)
    told = TaskOut(question=task.question, ask=task.ask, name=task.name, ask_when=ask_when)
    if found is None:
        return told
    question = found.question
    return told.model_copy(
        update={
            "asks": question.name,
            "rule": found.rule.name,
            "title": question.title or question.name,
            "text": question.text,
            "language": question.language,
            "calibration": _calibration(None if calibrations is None else calibrations.of(question.name)),
        }
    )


def _calibration(known: MarkCalibration | None) -> TaskCalibrationOut | None:
    if known is None:
        return None
    fitted = known.calibration
    return TaskCalibrationOut(
        marks=known.marks,
        true_events=known.true_events,
        false_alarms=known.false_alarms,
        needed=MARKS_NEEDED,
        is_calibrated=fitted is not None,
        temperature=None if fitted is None else fitted.temperature,
        bias=None if fitted is None else fitted.bias,
    )


def require_presets(asked: Sequence[CameraTask], before: Sequence[CameraTask]) -> None:
    """Raises UsageError for a question that is named by a path, unless the camera has it already.

    A path would let a caller open any file of this machine.
    """
    kept = {task.question for task in before}
    for task in asked:
        if task.question and task.question not in kept and not PRESET.fullmatch(task.question):
            raise UsageError(
                f"a question is named as GET /api/v1/questions has it, not by a path ({task.question!r}); files are "
                "named in the settings of the watch"
            )
