"""The filters that lists of records have in common, as query parameters: by time, camera, place and text."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from vigil.store.times import parse_time

from .events import LONGEST_TEXT
from .schemas import EXAMPLE_CAMERA


@dataclass(frozen=True, slots=True)
class RecordFilters:
    """All that are given must match; the times raise UsageError if they cannot be read."""

    since: Annotated[str, Query(max_length=40, description="From this time on, or an age such as 2h or 7d.")] = ""
    until: Annotated[str, Query(max_length=40, description="Up to this time.")] = ""
    camera: Annotated[
        str, Query(max_length=LONGEST_TEXT, description="Id or name of the camera.", examples=[EXAMPLE_CAMERA])
    ] = ""
    place: Annotated[str, Query(max_length=LONGEST_TEXT, description="Place of the camera.")] = ""
    text: Annotated[str, Query(max_length=LONGEST_TEXT, description="With this text in what is written of them.")] = ""

    @property
    def since_utc(self) -> str | None:
        """The first time, in the store's format."""
        return parse_time(self.since, option="since") if self.since.strip() else None

    @property
    def until_utc(self) -> str | None:
        """The last time, in the store's format."""
        return parse_time(self.until, option="until") if self.until.strip() else None
