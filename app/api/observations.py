"""Observations: the lines of the semantic log, searched and listed."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from vigil.observation import observation_record
from vigil.store.observations import ObservationFilter

from .auth import EventReader
from .context import ApiContext
from .events import MOST, decode_cursor, encode_cursor
from .record_filters import RecordFilters
from .schemas import ObservationList, ObservationOut, kept_problems


@dataclass(frozen=True, slots=True)
class ObservationFilters(RecordFilters):
    """The filters of observations."""

    def wanted(self) -> ObservationFilter:
        """The filter of the store; raises UsageError for times that cannot be read."""
        return ObservationFilter(
            since_utc=self.since_utc,
            until_utc=self.until_utc,
            source=self.camera,
            place=self.place,
            text=self.text.strip(),
        )


def observations_router(context: ApiContext) -> APIRouter:
    """The route of the semantic log."""
    router = APIRouter(tags=["events"])

    @router.get("/observations", response_model=ObservationList, responses=kept_problems(400, 503))
    def list_observations(
        caller: EventReader,
        filters: Annotated[ObservationFilters, Depends()],
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str, Query(max_length=300, description="`next` of the page before.")] = "",
    ) -> ObservationList:
        """What a model said of the cameras, the latest first: data of what they saw, in whatever language it came."""
        page = context.store.observations.page(filters.wanted(), after=decode_cursor(cursor), size=limit)
        told = [ObservationOut.model_validate(observation_record(each)) for each in page.observations]
        return ObservationList(observations=told, next=encode_cursor(page.next) if page.next else None)

    return router
