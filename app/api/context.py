"""What the routes of the service share: the site, its store and its watch."""

from dataclasses import dataclass

from vigil.store import Store
from vigil.watch.background import BackgroundWatcher

from ..problems import UnavailableError
from ..web.context import SiteContext
from ..web.event_store import open_store


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The site behind the service."""

    site: SiteContext

    @property
    def store(self) -> Store:
        """The store of the watch; raises UnavailableError without one."""
        found = open_store(self.site)
        if found is None:
            raise UnavailableError("there is no store of events to read; start the service with --store FILE")
        return found

    @property
    def watcher(self) -> BackgroundWatcher:
        """The watch; raises UnavailableError without one."""
        if self.site.service is None:
            raise UnavailableError("nothing is watched by this service")
        return self.site.service

    def url(self, path: str) -> str:
        """The URL of a route of the service, as a client of this site asks for it."""
        return self.site.options.root.url(f"/api/v1{path}")
