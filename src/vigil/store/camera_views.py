"""The camera_views table: the usual views of each camera, by which a watch tells that one was turned away.

    store.camera_views.keep(camera_id, views, request="")
    store.camera_views.of(camera_id).views                  # as they were before a restart
    store.camera_views.ask(camera_id)                       # what the camera shows now is its right view

A watch takes note of what was asked for within seconds, or when it next begins, and keeps the new view instead of all
others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from vigil.store.database import Database, upsert
from vigil.store.schema import camera_views, view_requests
from vigil.store.times import utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredView:
    """One view: a coarse `picture` (36 rows of 48 grey levels, a byte each) and, a byte each, what no mask covers.

    `sharpness` is how steep its edges are, `seen_s` for how many seconds it was seen.
    """

    picture: bytes
    visible: bytes
    sharpness: float
    seen_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredViews:
    """The views of a camera, oldest first; `request` is when somebody asked for the present view, empty if nobody."""

    views: tuple[StoredView, ...] = ()
    request: str = ""


class CameraViewTable:
    """The views of a store's cameras; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, camera_id: str) -> StoredViews:
        """What is kept of a camera."""
        kept = select(camera_views).where(camera_views.c.camera_id == camera_id).order_by(camera_views.c.number)
        asked = select(view_requests.c.asked_utc).where(view_requests.c.camera_id == camera_id)
        with self._database.reading("reading the views of a camera") as connection:
            views = tuple(
                StoredView(
                    picture=bytes(row.picture), visible=bytes(row.visible), sharpness=row.sharpness, seen_s=row.seen_s
                )
                for row in connection.execute(kept)
            )
            return StoredViews(views=views, request=connection.execute(asked).scalar() or "")

    def keep(self, camera_id: str, views: Sequence[StoredView], *, request: str = "") -> None:
        """Replaces the views of a camera; `request` is what was asked for and is done with that."""
        now = utc_now()
        rows = [
            {
                "camera_id": camera_id,
                "number": number,
                "picture": view.picture,
                "visible": view.visible,
                "sharpness": view.sharpness,
                "seen_s": view.seen_s,
                "kept_utc": now,
            }
            for number, view in enumerate(views)
        ]
        done = (view_requests.c.camera_id == camera_id, view_requests.c.asked_utc == request)
        with self._database.writing("keeping the views of a camera") as connection:
            connection.execute(camera_views.delete().where(camera_views.c.camera_id == camera_id))
            if rows:
                connection.execute(camera_views.insert(), rows)
            if request:
                connection.execute(view_requests.delete().where(*done))

    def ask(self, camera_id: str) -> None:
        """Notes that what a camera shows now is its right view."""
        row = {"camera_id": camera_id, "asked_utc": utc_now()}
        with self._database.writing("noting the right view of a camera") as connection:
            upsert(connection, view_requests, [row])

    def requests(self) -> dict[str, str]:
        """What was asked for and is not done yet: when, by camera id."""
        with self._database.reading("looking for the right views of cameras") as connection:
            return {row.camera_id: row.asked_utc for row in connection.execute(select(view_requests))}


def forget_views(connection: Connection, camera_id: str) -> None:
    """Deletes what is kept of a camera, in the caller's transaction."""
    for table in (camera_views, view_requests):
        connection.execute(table.delete().where(table.c.camera_id == camera_id))
