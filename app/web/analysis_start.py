"""Starts a visitor's analysis, in either tab, if a slot is free and the file is still there."""

from dataclasses import dataclass

from vigil.analysis import Analysis

from .analysis_session import AnalysisSession
from .analysis_slots import AT_ONCE
from .context import RequestRefused, SiteContext
from .uploads import Upload


@dataclass(frozen=True, slots=True)
class AnalysisStarter:
    """Starts analyses; independent of how the page shows them."""

    context: SiteContext

    def begin(
        self, desk: AnalysisSession, analysis: Analysis, upload: Upload | None, *, duration_s: float | None
    ) -> None:
        """Starts an analysis in place of the visitor's previous one; call `check_place` first."""
        desk.begin(analysis, upload, duration_s=duration_s)
        analysis.start()
        self.context.places.take(analysis)

    def check_place(self, desk: AnalysisSession) -> None:
        """Raises RequestRefused if all slots are taken."""
        if self.context.places.is_full(leaving=desk.analysis):
            raise RequestRefused(self.full)

    @property
    def full(self) -> str:
        """The message that all slots are taken."""
        return self.context.t("analysis.full", count=AT_ONCE)

    def keep(self, desk: AnalysisSession) -> bool:
        """Whether the file is still there; protects it from the sweep while it is in use."""
        self.context.uploads.keep(desk.folder)
        return desk.upload is None or self.context.uploads.exists(desk.upload)

    def gone(self, desk: AnalysisSession) -> str:
        """The message that the file of an analysis has been removed."""
        minutes = f"{self.context.options.keep_uploads_s / 60:g}"
        name = desk.upload.name if desk.upload is not None else ""
        return self.context.t("analysis.gone", name=name, minutes=minutes)
