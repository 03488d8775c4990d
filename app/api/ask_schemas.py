"""The forms of questions to the past and their answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from vigil.history.question import LONGEST_QUESTION
from vigil.history.records import MeaningUse

from .form import Form
from .schemas import EXAMPLE_CAMERA, MarkName

MOST_RECORDS = 50
LONGEST_WORD = 200

TimeWord = Annotated[str, Field(max_length=40)]


class NewQuestion(Form):
    """A question in words; it may name a time and cameras. What is given beside it counts instead."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION, examples=["did anyone fight last night?"])
    since: TimeWord = Field("", description="From this time on, or an age such as 24h.")
    until: TimeWord = Field("", description="Up to this time.")
    camera: str = Field("", max_length=LONGEST_WORD, examples=[EXAMPLE_CAMERA], description="Id or name of a camera.")
    place: str = Field("", max_length=LONGEST_WORD, description="Place of cameras.")
    limit: int = Field(20, ge=1, le=MOST_RECORDS, description="How many records are found at most.")
    meaning: bool = Field(True, description="Whether observations are also searched by meaning, where that is on.")
    model: bool = Field(True, description="Whether the served model words an answer; without it, records are found.")


class AskedCamera(BaseModel):
    """A camera that a question names."""

    camera_id: str
    name: str
    place: str


class RecordOut(BaseModel):
    """An event or observation that was found; an answer cites it by `ref`. `score` is the share of the question in it.

    `text` comes from a model or from people. `until_utc` is null for an observation, and for an event that goes on.
    """

    ref: str
    kind: Literal["event", "observation"]
    id: str
    camera_id: str
    camera: str
    place: str
    happened_utc: str
    until_utc: str | None
    text: str
    rule: str
    tier: str
    mark: MarkName
    score: float


class SentenceOut(BaseModel):
    """A sentence of the answer and the records that it rests on; with none it rests on nothing."""

    text: str
    refs: list[str]


class FoundOut(BaseModel):
    """What was understood of a question, and what was found; the counts are of its time and cameras.

    `meaning` says whether observations were searched by meaning too: `on`, `off`, or `not_installed` (the extra
    `meaning`). `unindexed` of them have no vector yet and were searched by their words alone.
    """

    question: str
    since_utc: str | None
    until_utc: str | None
    cameras: list[AskedCamera]
    words: str
    events: int
    observations: int
    watches: int
    meaning: MeaningUse
    unindexed: int
    records: list[RecordOut]


class AnswerOut(FoundOut):
    """The answer.

    `answered`: `sentences` are the model's; `unknown_refs` are citations that were taken off, since there are no such
    records. `nothing_recorded`: the search has found nothing. `records_only`: `trouble` says why no model has answered.
    """

    outcome: Literal["answered", "nothing_recorded", "records_only"]
    sentences: list[SentenceOut]
    unknown_refs: list[str]
    left_out: int
    model: str
    trouble: str
