"""How an analysis is begun for a visitor, in whichever tab: where there is a place, and while its file is there."""

from dataclasses import dataclass

from app.web.analysis_session import AnalysisSession
from app.web.analysis_slots import AT_ONCE
from app.web.context import RequestRefused, SiteContext
from app.web.uploads import Upload
from vigil.analysis import Analysis


@dataclass(frozen=True, slots=True)
class AnalysisStarter:
    """Begins analyses; knows nothing of what the page shows of them."""

    context: SiteContext

    def begin(
        self, desk: AnalysisSession, analysis: Analysis, upload: Upload | None, *, duration_s: float | None
    ) -> None:
        """Starts an analysis, which takes the place of the visitor's one before; `check_place` comes first."""
        desk.begin(analysis, upload, duration_s=duration_s)
        analysis.start()
        self.context.places.take(analysis)

    def check_place(self, desk: AnalysisSession) -> None:
        """Raises Refused where as many are analysed for as can be."""
        if self.context.places.is_full(leaving=desk.analysis):
            raise RequestRefused(self.full)

    @property
    def full(self) -> str:
        """That there is no place."""
        return self.context.t("analysis.full", count=AT_ONCE)

    def keep(self, desk: AnalysisSession) -> bool:
        """Whether the file is still there; what is looked at is not swept away."""
        self.context.uploads.keep(desk.folder)
        return desk.upload is None or self.context.uploads.is_there(desk.upload)

    def gone(self, desk: AnalysisSession) -> str:
        """That the file of an analysis is there no longer."""
        minutes = f"{self.context.options.keep_uploads_s / 60:g}"
        name = desk.upload.name if desk.upload is not None else ""
        return self.context.t("analysis.gone", name=name, minutes=minutes)
