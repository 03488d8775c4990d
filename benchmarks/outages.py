"""How soon a lost camera is noticed, and how soon it gives frames again, at the shipped settings: printed, not held.

The cameras are processes of `tests`: killed, frozen, replaced and brought back. What must come of it, and in which
order, is held by `tests/e2e/test_live_sources.py`; this only measures.

    python benchmarks/outages.py
"""

import signal
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import http_camera
import rtsp_server
from films import shoot
from live_seeing import Seen, following
from vigil.frames import Frame
from vigil.sources.open_capture import CaptureSettings, Disconnected

SHIPPED = CaptureSettings()
AWAY_S = 5.0
PATIENCE_S = 60.0
FILM_OPTIONS = {"g": "25", "bf": "0", "preset": "ultrafast"}


def tell(fault: str, noticed_s: float, back_s: float | None = None) -> None:
    """Prints a line of the table."""
    back = "" if back_s is None else f", {back_s:.1f} s back"
    print(f"{fault}: noticed after {noticed_s:.1f} s{back}", flush=True)


def watched(stack: ExitStack, address: str) -> Seen:
    """A feed that already gives frames."""
    seen = stack.enter_context(following(address, settings=SHIPPED))
    seen.wait(Frame, number=3, within_s=PATIENCE_S)
    return seen


def back_s(seen: Seen) -> float:
    """Seconds from now, when the camera is ready again, to its next frame here."""
    return seen.wait_after(Frame, time.monotonic(), within_s=PATIENCE_S)


def killed(small: Path, large: Path) -> None:
    """A camera that is gone for a while and comes back with another resolution."""
    with ExitStack() as stack:
        camera = stack.enter_context(rtsp_server.running(small))
        seen, killed_s = watched(stack, camera.address()), time.monotonic()
        camera.process.kill()
        noticed_s = seen.wait_after(Disconnected, killed_s, within_s=PATIENCE_S)
        time.sleep(AWAY_S)
        stack.enter_context(rtsp_server.running(large, port=camera.port))
        tell(f"killed -9 for {AWAY_S:g} s, restarted with another resolution", noticed_s, back_s(seen))


def frozen(small: Path) -> None:
    """A camera that stands still, then goes on; then one that stands still while the watch is stopped."""
    with ExitStack() as stack:
        camera = stack.enter_context(rtsp_server.running(small))
        seen, frozen_s = watched(stack, camera.address()), time.monotonic()
        camera.process.send_signal(signal.SIGSTOP)
        noticed_s = seen.wait_after(Disconnected, frozen_s, within_s=PATIENCE_S)
        time.sleep(3)
        camera.process.send_signal(signal.SIGCONT)
        tell("frozen (SIGSTOP), woken 3 s after that was noticed", noticed_s, back_s(seen))
        camera.process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        stopped_s = time.monotonic()
        seen.stop.set()
        seen.until_ended(within_s=PATIENCE_S)
        tell("stop while frozen (ends)", (seen.ended_s or 0.0) - stopped_s)


def replaced(small: Path) -> None:
    """A camera in whose place one accepts and never answers, and that comes back."""
    with ExitStack() as stack:
        camera = stack.enter_context(rtsp_server.running(small))
        seen, killed_s = watched(stack, camera.address()), time.monotonic()
        camera.process.kill()
        camera.process.wait()
        with rtsp_server.running(small, port=camera.port, options=["--mute"]):
            seen.wait_for_reason("no pictures for 5 s", within_s=PATIENCE_S)
        stack.enter_context(rtsp_server.running(small, port=camera.port))
        noticed_s = seen.of(Disconnected)[0] - killed_s
        tell("replaced by one that accepts and never answers", noticed_s, back_s(seen))


def silent(small: Path) -> None:
    """One of four cameras never answers."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        camera = stack.enter_context(rtsp_server.running(small))
        mute = stack.enter_context(following(f"rtsp://127.0.0.1:{listening.getsockname()[1]}/x", settings=SHIPPED))
        began_s = time.monotonic()
        good = [stack.enter_context(following(camera.address(), settings=SHIPPED)) for _ in range(3)]
        opened_s = max(seen.wait(Frame, within_s=PATIENCE_S) - began_s for seen in good)
        noticed_s = mute.wait(Disconnected, within_s=PATIENCE_S) - began_s
        tell("one of four never answers (the others open)", noticed_s, opened_s)


def http(small: Path, path: str) -> None:
    """An HTTP camera that is killed and started again at once."""
    with ExitStack() as stack:
        camera, port = stack.enter_context(http_camera.running(small, 0))
        seen, killed_s = watched(stack, f"http://127.0.0.1:{port}/{path}"), time.monotonic()
        camera.kill()
        camera.wait()
        noticed_s = seen.wait_after(Disconnected, killed_s, within_s=PATIENCE_S)
        stack.enter_context(http_camera.running(small, port))
        tell(f"{path} killed -9", noticed_s, back_s(seen))


def main() -> None:
    """Tries every fault once."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.mp4", Path(folder) / "large.mp4"
        shoot(small, frames=1500, options=FILM_OPTIONS)
        shoot(large, frames=250, size_wh=(640, 480), options=FILM_OPTIONS)
        killed(small, large)
        frozen(small)
        replaced(small)
        silent(small)
        for path in ("live.mjpg", "live.m3u8"):
            http(small, path)


if __name__ == "__main__":
    main()
