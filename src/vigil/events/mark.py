"""What a person says of an event: it was true, a false alarm, or they are not sure."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

MarkValue: TypeAlias = Literal["true", "false_alarm", "unsure", ""]
"""`""` takes an earlier mark back."""

MARK_WORDS: tuple[MarkValue, ...] = get_args(MarkValue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One mark: `number` counts an event's marks from 1, the newest counts; `marked_utc` is when it was made."""

    event_id: str
    number: int
    mark: MarkValue
    who: str
    note: str = ""
    marked_utc: str = ""
