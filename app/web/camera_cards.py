"""The cameras of the watch room: what is shown of each, and how to add, pause and remove them.

An address is untrusted input: only a name from the configuration, or a webcam number or address that the operator
allows (`app.allowed_cameras`); never a path. A camera is shown by its name, which holds no password.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vigil.errors import UsageError
from vigil.sources.address import Address, find_available_sources, find_sources
from vigil.verdict import Cause
from vigil.watch import SourceState
from vigil.watch.state import SourceStatus

from ..language import Translator
from .context import SiteContext
from .uploads import inspect_upload

if TYPE_CHECKING:
    import gradio as gr

    from vigil.watch.background import BackgroundWatcher

TONES: Mapping[SourceStatus, str] = {
    SourceStatus.WAITING: "wait",
    SourceStatus.CONNECTING: "wait",
    SourceStatus.WATCHING: "good",
    SourceStatus.LOST: "bad",
    SourceStatus.UNREADABLE: "bad",
    SourceStatus.ENDED: "off",
    SourceStatus.PAUSED: "off",
}
MAX_ADDRESS_CHARS = 500


class CameraCards:
    """What a page may do with the cameras of a watch; raises VigilErrors that say what to do."""

    def __init__(self, context: SiteContext, service: "BackgroundWatcher") -> None:
        self._context = context
        self._service = service
        self._configured = _configured(context)

    def add(self, source: str, request: "gr.Request | None" = None) -> str:
        """Starts watching the camera at an address; returns its displayed name."""
        address = self._address(source.strip())
        return self._watch(address, request)

    def add_file(self, path: Path, request: "gr.Request | None" = None) -> str:
        """Starts watching the camera that an uploaded camera.txt names; the file type is detected by content."""
        upload = inspect_upload(path)
        if upload.address is None:
            raise UsageError(self._context.t("room.no_camera_file", name=upload.name))
        return self._watch(self._context.allowed.admit(upload.address), request)

    def act(self, what: str, name: str, request: "gr.Request | None" = None) -> None:
        """Pauses, resumes or removes a camera."""
        actions = {"pause": self._service.pause, "resume": self._service.resume, "remove": self._service.remove}
        if what not in actions:
            raise UsageError(f"no such action for a camera: {what[:20]!r}")
        self._context.allow_change(f"{what} a camera", request, camera=name)
        actions[what](name)

    def spare(self) -> list[str]:
        """The names of configured cameras that are not being watched."""
        watched = {state.name for state in self._service.states()}
        return [name for name in self._configured if name not in watched]

    def _watch(self, address: Address, request: "gr.Request | None") -> str:
        self._context.allow_change("add a camera", request, camera=address.name)
        return ", ".join(self._service.add(address.location, name=address.name, confined=address.confined))

    def _address(self, source: str) -> Address:
        if source in self._configured:
            return self._configured[source]
        if not source or len(source) > MAX_ADDRESS_CHARS:
            raise UsageError(self._context.t("room.add_what"))
        if not (source.isascii() and source.isdecimal()) and "://" not in source:
            # A path would let a visitor open any file of this machine.
            raise UsageError(self._context.t("room.no_paths"))
        return self._context.allowed.admit(find_sources([source])[0])


def _configured(context: SiteContext) -> dict[str, Address]:
    """The configured sources by displayed name; those that do not exist are left out."""
    return {address.name: address for address in find_available_sources(context.settings.sources)[0]}


def card(state: SourceState, t: Translator, *, is_judged: bool = True) -> dict[str, object]:
    """The texts of one camera's card; `is_judged` is False while the endpoint is away."""
    is_idle = state.is_current and not is_judged
    return {
        "name": state.name,
        "stage": t("room.stage_unjudged" if is_idle else f"room.stage_{state.stage}"),
        "tone": "bad" if is_idle else TONES.get(state.stage, "wait"),
        "stale": not state.is_current,
        "paused": state.stage is SourceStatus.PAUSED,
        "detail": state.detail
        if state.stage in (SourceStatus.CONNECTING, SourceStatus.LOST, SourceStatus.UNREADABLE)
        else "",
        "open": t("room.event_open", tier=t(f"room.tier_{state.open_event}")) if state.open_event else "",
        "tier": str(state.open_event),
        "facts": facts(state, t, is_judged=is_judged),
    }


def facts(state: SourceState, t: Translator, *, is_judged: bool = True) -> list[tuple[str, str]]:
    """Label and value of each measurement; a stale value is shown as a dash."""
    is_now = state.is_current and is_judged
    p_alarm, lag_s = (state.p_alarm, state.lag_s) if is_now else (None, None)
    size = "" if state.size_wh is None else f"{state.size_wh[0]}×{state.size_wh[1]}"
    pairs = [
        (t("room.p"), "–" if p_alarm is None else f"{p_alarm:.2f}"),
        (t("room.lag"), "–" if lag_s is None else t("room.seconds", seconds=f"{lag_s:.1f}")),
        (t("room.events"), str(state.events)),
        (t("room.dropped"), _causes(state, t)),
        (t("room.size"), size),
    ]
    return [(label, value) for label, value in pairs if value]


def _causes(state: SourceState, t: Translator) -> str:
    """Unknown windows by cause, the most frequent first."""
    if not state.unknown:
        return "0"
    return ", ".join(f"{t(f'room.cause_{Cause(cause)}')} {count}" for cause, count in state.unknown.most_common())
