"""What the routes of the service share: the site, its store and its watch."""

from dataclasses import dataclass, field

from vigil.store import CameraRecord, Store
from vigil.store.data_version import CommittedVersion, KeptReading
from vigil.watch.background import BackgroundWatcher

from ..problems import UnavailableError
from ..web.context import SiteContext
from ..web.event_store import open_store, store_if_open


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The site behind the service, and the rows of its cameras, which every look at one needs."""

    site: SiteContext
    camera_rows: KeptReading[dict[str, CameraRecord]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "camera_rows", KeptReading(self.store_version, self._read_cameras))

    @property
    def store(self) -> Store:
        """The store of the watch; raises UnavailableError without one."""
        found = open_store(self.site)
        if found is None:
            raise UnavailableError("there is no store of events to read; start the service with --store FILE")
        return found

    def store_version(self) -> CommittedVersion | None:
        """The version of what the store holds; None without one, before it is opened, or if that is not known.

        It is told at once and opens nothing, so that an event loop may ask.
        """
        store = store_if_open(self.site)
        return None if store is None else store.database.data_version.now()

    def _read_cameras(self) -> dict[str, CameraRecord]:
        """The rows of all cameras by id; none without a store. Raises StoreError."""
        store = open_store(self.site)
        return {} if store is None else {row.id: row for row in store.cameras.all()}

    @property
    def watcher(self) -> BackgroundWatcher:
        """The watch; raises UnavailableError without one."""
        if self.site.service is None:
            raise UnavailableError("nothing is watched by this service")
        return self.site.service

    def url(self, path: str) -> str:
        """The URL of a route of the service, as a client of this site asks for it."""
        return self.site.options.root.url(f"/api/v1{path}")
