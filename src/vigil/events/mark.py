"""What a person says of an event: it was true, a false alarm, or they are not sure."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

MarkWord: TypeAlias = Literal["true", "false_alarm", "unsure", ""]
"""`""` takes an earlier mark back."""

MARK_WORDS: tuple[MarkWord, ...] = get_args(MarkWord)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One mark: `number` counts an event's marks from 1, the newest counts; `marked_utc` is when it was made."""

    event_id: str
    number: int
    mark: MarkWord
    who: str
    note: str = ""
    marked_utc: str = ""
