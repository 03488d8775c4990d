"""The state of one visitor's analysis: kept in a `gr.State`, and discarded with the browser's page."""

import logging
import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path

from vigil.analysis import Analysis
from vigil.analysis.outputs import write_browser_copy
from vigil.errors import VigilError
from vigil.sources.address import Address
from vigil.sources.webcam import BrowserWebcam

from .uploads import Upload

log = logging.getLogger(__name__)

MY_WEBCAM = Address("webcam", "webcam", "")
"""The visitor's own webcam; the page sends its pictures."""


@dataclass(slots=True)
class AnalysisSession:
    """One visitor's analysis; `run` identifies it, so that the page notices a new one; `folder` holds its files."""

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
        """Starts an analysis, after stopping the previous one."""
        self.stop()
        self.run, self.analysis, self.upload, self.duration_s = secrets.token_hex(4), analysis, upload, duration_s
        self.playable = None if upload is None or not upload.is_playable else upload.path
        self.is_converting = False
        if upload is not None and not upload.is_playable:
            self._convert(upload)

    def stop(self) -> None:
        """Stops the analysis and everything that belongs to it."""
        if self.analysis is not None:
            self.analysis.stop()
        for work in (self.drawing, self._converting):
            if work is not None:
                work.set()

    def go_on(self) -> None:
        """Resumes the analysis, and restarts a conversion that was stopped with it."""
        was_stopped = self._converting is not None and self._converting.is_set()
        if self.upload is not None and self.playable is None and was_stopped:
            self._convert(self.upload)

    def _convert(self, upload: Upload) -> None:
        """Makes a copy that the browser can play, in parallel; without it the verdicts still arrive."""
        stop = threading.Event()
        self._converting = stop
        self.is_converting = True
        # A conversion that was stopped may still be running.
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
        """The folder for the results of this run."""
        folder = self.folder / self.run
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder
