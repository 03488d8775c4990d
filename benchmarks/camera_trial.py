"""One trial of `benchmarks/cameras.py`: so many cameras in this process, each a thread that is fed at its own pace.

python benchmarks/camera_trial.py ours FILE 18 12
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from footage import RATE

from vigil.frames import Frame, FrameSampling, fit_size
from vigil.sources.container import pick_stream
from vigil.sources.network import StreamHealth, StreamReader
from vigil.windows import Windower

SAMPLING = FrameSampling()
LATE_S = 0.5
GROUP_S = 2.0
"""Seconds from one key frame of the films to the next, over which the cameras' starts are spread."""


@dataclass(slots=True)
class Camera:
    """What one camera has to show for itself: how late each kept frame was, and its windows."""

    lateness_s: list[float] = field(default_factory=list)
    windows: int = 0


class Due:
    """A container whose packets come when they are due, as from a camera."""

    def __init__(self, container: Any, stream: Any, *, began_s: float) -> None:
        self.due_s = began_s
        self._container = container
        self._stream = stream
        self._began_s = began_s
        self._tick_s = float(stream.time_base)

    def demux(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            if packet.dts is None:
                return
            self.due_s = self._began_s + packet.dts * self._tick_s
            time.sleep(max(0.0, self.due_s - time.monotonic()))
            yield packet


def watch_ours(path: Path, camera: Camera, start: "Start") -> None:
    """The code that reads streams, and the cutter."""
    with av.open(str(path)) as container:
        stream = pick_stream(container, path)
        began_s = start.wait()
        due = Due(container, stream, began_s=began_s)
        reading = StreamReader(
            due,
            stream,
            sampling=SAMPLING,
            stop=start.stop,
            started_s=began_s,
            picture_timeout_s=20.0,
            key_timeout_s=300.0,
            health=StreamHealth(),
        )
        cutter = Windower(SAMPLING)
        for signal in reading.signals():
            if isinstance(signal, Frame):
                camera.windows += sum(1 for _ in cutter.push(signal))
                camera.lateness_s.append(time.monotonic() - due.due_s)


def watch_seed(path: Path, camera: Camera, start: "Start") -> None:
    """Every frame read at full size; one in N resized, compressed and put into windows."""
    capture = cv2.VideoCapture(str(path))
    stride = int(capture.get(cv2.CAP_PROP_FPS) / SAMPLING.fps)
    window: list[bytes] = []
    began_s = start.wait()
    number = 0
    while not start.stop.is_set():
        due_s = began_s + number / RATE
        time.sleep(max(0.0, due_s - time.monotonic()))
        ok, image = capture.read()
        if not ok:
            return
        if number % stride == 0:
            size_wh = fit_size(image.shape[1], image.shape[0], max_pixels=SAMPLING.max_pixels)
            quality = [cv2.IMWRITE_JPEG_QUALITY, SAMPLING.jpeg_quality]
            window.append(cv2.imencode(".jpg", cv2.resize(image, size_wh), quality)[1].tobytes())
            camera.lateness_s.append(time.monotonic() - due_s)
        if len(window) == SAMPLING.frames:
            camera.windows += 1
            del window[: SAMPLING.stride]
        number += 1


WAYS: dict[str, Callable[[Path, Camera, "Start"], None]] = {"ours": watch_ours, "seed": watch_seed}


class Start:
    """Lets cameras begin when all are open, their key frames spread over a group of pictures."""

    def __init__(self, cameras: int, stop: threading.Event) -> None:
        self.stop = stop
        self._cameras = cameras
        self._waiting = 0
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._began_s = 0.0

    def wait(self) -> float:
        """The `time.monotonic()` at which this camera begins."""
        with self._lock:
            place, self._waiting = self._waiting, self._waiting + 1
            if self._waiting == self._cameras:
                self._began_s = time.monotonic() + 0.2
                self._ready.set()
        self.wait_for_all()
        return self._began_s + GROUP_S * place / self._cameras

    def wait_for_all(self) -> None:
        """Returns when every camera is open."""
        self._ready.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one process with `cameras` cameras measured; `cpu_pct` is of one core, `camera_mb` what each one holds."""

    cameras: int
    frames: int
    windows: int
    p50_s: float
    p99_s: float
    last_s: float
    cpu_pct: float
    rss_mb: float
    camera_mb: float

    @property
    def holds(self) -> bool:
        """Whether it kept up."""
        return self.p99_s < LATE_S and self.last_s < LATE_S


def try_here(way: str, path: Path, cameras: int, seconds: float) -> Trial:
    """One trial, in this process."""
    cv2.setNumThreads(1)
    stop, records = threading.Event(), [Camera() for _ in range(cameras)]
    start, before_mb = Start(cameras, stop), rss_mb()
    threads = [threading.Thread(target=WAYS[way], args=(path, record, start), daemon=True) for record in records]
    for thread in threads:
        thread.start()
    start.wait_for_all()
    cpu_s = time.process_time()
    time.sleep(seconds)
    cpu_s, held_mb = time.process_time() - cpu_s, rss_mb()
    stop.set()
    late_s = np.array([late for record in records for late in record.lateness_s] or [seconds])
    return Trial(
        cameras=cameras,
        frames=len(late_s),
        windows=sum(record.windows for record in records),
        p50_s=float(np.percentile(late_s, 50)),
        p99_s=float(np.percentile(late_s, 99)),
        last_s=max(record.lateness_s[-1] if record.lateness_s else seconds for record in records),
        cpu_pct=100 * cpu_s / seconds,
        rss_mb=held_mb,
        camera_mb=(held_mb - before_mb) / cameras,
    )


def rss_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    way, file, cameras, seconds = sys.argv[1:]
    print(json.dumps(asdict(try_here(way, Path(file), int(cameras), float(seconds)))), flush=True)
    # Threads that wait for their next packet must not keep a finished trial alive.
    os._exit(0)
