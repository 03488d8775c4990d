"""What belongs to one visitor of the analysis: kept in a `gr.State`, gone with the browser's page."""

import logging
import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path

from app.web.uploads import Upload
from vigil.analysis import Analysis
from vigil.analysis.outputs import write_browser_copy
from vigil.errors import VigilError
from vigil.sources.address import Address
from vigil.sources.webcam import BrowserWebcam

log = logging.getLogger(__name__)

MY_WEBCAM = Address("webcam", "webcam", "")
"""The visitor's own webcam, whose pictures the page sends."""


@dataclass(slots=True)
class AnalysisSession:
    """One visitor's analysis: `run` names it, so that the page knows a new one; `folder` holds what it leaves."""

    folder: Path
    run: str = ""
    analysis: Analysis | None = None
    upload: Upload | None = None
    webcam: BrowserWebcam = field(default_factory=lambda: BrowserWebcam(name="webcam", silent_s=20.0))
    duration_s: float | None = None
    drawing: threading.Event | None = None
    playable: Path | None = None
    is_converting: bool = False
    _converting: threading.Event | None = None

    def begin(self, analysis: Analysis, upload: Upload | None, *, duration_s: float | None) -> None:
        """A new analysis takes the place of the one before, which ends."""
        self.stop()
        self.run, self.analysis, self.upload, self.duration_s = secrets.token_hex(4), analysis, upload, duration_s
        self.playable = None if upload is None or not upload.is_playable else upload.path
        self.is_converting = False
        if upload is not None and not upload.is_playable:
            self._convert(upload)

    def stop(self) -> None:
        """Ends what is under way."""
        if self.analysis is not None:
            self.analysis.stop()
        for work in (self.drawing, self._converting):
            if work is not None:
                work.set()

    def go_on(self) -> None:
        """The analysis goes on: a copy that was stopped with it is begun again."""
        was_stopped = self._converting is not None and self._converting.is_set()
        if self.upload is not None and self.playable is None and was_stopped:
            self._convert(self.upload)

    def _convert(self, upload: Upload) -> None:
        """Makes a copy that the browser plays, beside the analysis; without one the verdicts still come."""
        stop = threading.Event()
        self._converting = stop
        self.is_converting = True
        # One that was stopped may still be at work on its own.
        path = self.results() / f"playable-{secrets.token_hex(4)}.mp4"

        def convert() -> None:
            made = False
            try:
                made = self._made_playable(upload, path, stop)
            finally:
                if self._converting is stop:
                    self.playable, self.is_converting = path if made else None, False

        threading.Thread(target=convert, name="playable copy", daemon=True).start()

    def _made_playable(self, upload: Upload, path: Path, stop: threading.Event) -> bool:
        try:
            write_browser_copy(upload.path, path, stop=stop)
        except (VigilError, OSError) as error:
            log.info("%s cannot be made playable: %s", upload.name, error)
            stop.set()
        if stop.is_set():
            path.unlink(missing_ok=True)
        return path.exists()

    def results(self) -> Path:
        """A folder for the results of this run."""
        folder = self.folder / self.run
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder
