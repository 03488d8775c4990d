"""What belongs to one visitor of the analysis: kept in a `gr.State`, gone with the browser's page."""

import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path

from app.web.uploads import Upload
from vigil.analysis import Analysis, View
from vigil.sources.pushed import PushedPictures


@dataclass(slots=True)
class Desk:
    """One visitor's analysis: `run` names it, so that the page knows a new one; `folder` holds what it leaves."""

    folder: Path
    run: str = ""
    analysis: Analysis | None = None
    upload: Upload | None = None
    webcam: PushedPictures = field(default_factory=lambda: PushedPictures(name="webcam", silent_s=20.0))
    duration_s: float | None = None
    drawing: threading.Event | None = None
    shown: int = 0

    def begin(self, analysis: Analysis, upload: Upload | None, *, duration_s: float | None) -> None:
        """A new analysis takes the place of the one before, which ends."""
        self.stop()
        self.run, self.analysis, self.upload, self.duration_s = secrets.token_hex(4), analysis, upload, duration_s

    def stop(self) -> None:
        """Ends what is under way."""
        if self.analysis is not None:
            self.analysis.stop()
        if self.drawing is not None:
            self.drawing.set()

    @property
    def is_busy(self) -> bool:
        """Whether an analysis goes on."""
        return self.analysis is not None and not self.analysis.view().is_over

    def results(self) -> Path:
        """A folder for the results of this run."""
        folder = self.folder / self.run
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @property
    def view(self) -> View | None:
        """The state of the analysis, if there is one."""
        return None if self.analysis is None else self.analysis.view()
