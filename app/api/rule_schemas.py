"""The forms of rules: those of the watch, and what a camera has of them."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from vigil.rules.camera_rules import LONGEST_RULE_NAME, LONGEST_SCHEDULE, LONGEST_TIMEZONE, MOST_RULES
from vigil.rules.camera_tasks import LONGEST_QUESTION_NAME, LONGEST_TASK_NAME, MOST_TASKS
from vigil.rules.count import MOST_TIMES
from vigil.sentence_question import LONGEST_SENTENCE

from .form import Form

Share: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
RuleName: TypeAlias = Annotated[str, Field(min_length=1, max_length=LONGEST_RULE_NAME)]


class TiersForm(Form):
    """Tiers of one rule at one camera; null is what the rule has."""

    low: Share | None = None
    medium: Share | None = None
    high: Share | None = None


class ThresholdsForm(Form):
    """Thresholds of one rule at one camera, named as in the settings of the rule; null is what the rule has.

    A hysteresis rule has `k`, `n`, `keep_from` and `quiet_s`; a duration rule `p_from`, `for_s` and `gap_s`; a sequence
    rule `within_s` and `quiet_s`; a count rule `p_from`, `times`, `within_s` and `gap_s`; a camera rule `for_s` and
    `gap_s`.
    """

    rule: RuleName = Field(examples=["fight"])
    tiers: TiersForm | None = Field(None, examples=[{"high": 0.97}])
    k: Annotated[int, Field(ge=1, le=100)] | None = Field(None, examples=[3])
    n: Annotated[int, Field(ge=1, le=100)] | None = Field(None, examples=[4])
    keep_from: Share | None = None
    quiet_s: Seconds | None = Field(None, examples=[10.0])
    p_from: Share | None = None
    for_s: Seconds | None = None
    gap_s: Seconds | None = None
    within_s: Seconds | None = None
    times: Annotated[int, Field(ge=2, le=MOST_TIMES)] | None = None


class AskWhenForm(Form):
    """The answer after which a follow-up is asked.

    `question` names a task of the camera that stands before it, empty the watch's own; `alarm` is every label of it
    that is an alarm. With `holds` false it is asked where the answer is another.
    """

    model_config = ConfigDict(from_attributes=True)

    question: Annotated[str, Field(max_length=LONGEST_TASK_NAME)] = ""
    label: Annotated[str, Field(min_length=1, max_length=LONGEST_RULE_NAME)] = "alarm"
    p_from: Share = 0.5
    holds: bool = True


class TaskForm(Form):
    """A question of one camera: the name of a question (`GET /tasks`), or a sentence (`ask`) that is made into one."""

    question: Annotated[str, Field(max_length=LONGEST_QUESTION_NAME)] = Field("", examples=[""])
    ask: Annotated[str, Field(max_length=LONGEST_SENTENCE)] = Field(
        "", description="Answered with yes or no.", examples=["Is somebody climbing over the fence?"]
    )
    name: Annotated[str, Field(max_length=LONGEST_TASK_NAME)] = Field(
        "", description="That of its rule; empty: the question's name, or the sentence.", examples=["climbing"]
    )
    ask_when: AskWhenForm | None = Field(None, description="Makes it a follow-up.", examples=[None])


RuleNames: TypeAlias = Annotated[list[RuleName], Field(max_length=MOST_RULES)]
ThresholdList: TypeAlias = Annotated[list[ThresholdsForm], Field(max_length=MOST_RULES)]
TaskList: TypeAlias = Annotated[list[TaskForm], Field(max_length=MOST_TASKS)]
ScheduleText: TypeAlias = Annotated[str, Field(max_length=LONGEST_SCHEDULE)]
TimezoneText: TypeAlias = Annotated[str, Field(max_length=LONGEST_TIMEZONE)]


class CameraRulesForm(Form):
    """The rules of a camera; what is left out stays, and a camera of which nothing was ever said has all of the watch.

    They take effect with the next window; an event whose rule stays goes on.
    """

    rules: RuleNames | None = Field(
        None, description="The rules that apply (`GET /rules`); an empty list is all of them.", examples=[[]]
    )
    thresholds: ThresholdList | None = Field(
        None, description="Replaces all thresholds that the camera has of its own.", examples=[[]]
    )
    schedule: ScheduleText | None = Field(
        None,
        description="When alarms count, such as `22:00-06:00` or `mon-fri 20:00-06:00, sat sun 00:00-24:00`; outside "
        "of it nothing opens. Empty: always.",
        examples=["mon-fri 20:00-06:00, sat sun 00:00-24:00"],
    )
    timezone: TimezoneText | None = Field(
        None, description="That of the schedule; empty: that of the service's machine.", examples=["Asia/Shanghai"]
    )

    tasks: TaskList | None = Field(
        None,
        description="Replaces the questions that the camera is asked beside the watch's own; each has a rule of its "
        "own, unless a rule of the watch is about it.",
        examples=[[]],
    )


class TaskCalibrationOut(BaseModel):
    """What the probabilities of a question made of a sentence rest on.

    They are as the model gives them until `needed` of its events are marked, some as true and some as false alarms;
    then they are fitted on those (Platt scaling), with this `temperature` and `bias`.
    """

    marks: int
    true_events: int
    false_alarms: int
    needed: int
    is_calibrated: bool
    temperature: float | None = None
    bias: float | None = None


class TaskOut(TaskForm):
    """A question of one camera, and what comes of it.

    `asks` is the name of the question, `rule` that of the rule that a camera has for it unless a rule of the watch is
    about it. `text` is what the model is asked; what cannot be asked has none, and `problems` of the camera say why.
    `calibration` is null while nothing is known of its marks.
    """

    asks: str = ""
    rule: str = ""
    title: str = ""
    text: str = ""
    language: str = ""
    calibration: TaskCalibrationOut | None = None


class TermOut(BaseModel):
    """That a label of a question has at least a probability in a window, or has not (`holds` is false)."""

    model_config = ConfigDict(from_attributes=True)

    question: str
    label: str
    p_from: float
    holds: bool


class RuleSettingsOut(BaseModel):
    """One rule of the watch as its settings have it; the fields of other kinds of rules are null.

    A rule has no name until the model has told its task, if the settings give it none.
    """

    name: str
    type: Literal["hysteresis", "duration", "sequence", "count", "observation", "camera"]
    tiers: dict[Literal["low", "medium", "high"], float]
    k: int | None = None
    n: int | None = None
    keep_from: float | None = None
    quiet_s: float | None = None
    labels: list[str] | None = None
    question: str | None = None
    label: str | None = None
    p_from: float | None = None
    for_s: float | None = None
    gap_s: float | None = None
    all: list[TermOut] | None = None
    first: TermOut | None = None
    then: TermOut | None = None
    within_s: float | None = None
    times: int | None = None
    site: str | None = None
    fault: Literal["covered", "moved", "frozen", "dark", "blurred"] | None = None
    schedule: str | None = None
    timezone: str | None = None


class RuleListOut(BaseModel):
    """The rules of the watch, which cameras may choose from."""

    rules: list[RuleSettingsOut]
