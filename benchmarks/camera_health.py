"""How often camera faults are found, how often one is found that is not there, and what it costs.

.venv/bin/python benchmarks/camera_health.py --clips CLIPS --drawn 200 --hours 4 --json camera.json

Each camera is a view of real clips (looped, with sensor noise) or a drawn scene: 30 s as it is, then 80 s with a fault.
A fault counts as found if the rule with its usual settings opens an event while it lasts. Events of a fault that was
not put in are false alarms; they are counted in the pictures without a fault, also in long drawn scenes half of which
stay empty, while the light goes slowly up and down. Pictures go through H.264 as a camera's do.
"""

import argparse
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from scipy.stats import beta, chi2

from vigil.frames import Frame, FrameSampling, resize
from vigil.rules.camera_fault import CAMERA, CameraFaultSettings, Fault
from vigil.rules.duration import DurationRule
from vigil.sources.video_file import read_frames
from vigil.synth.camera_faults import with_fault, with_sensor_noise
from vigil.synth.clip import draw_clip
from vigil.synth.figure import Image
from vigil.verdict import Cause, JudgedWindow, Verdict
from vigil.watch.camera_health import CameraHealth
from vigil.windows import iter_windows

SAMPLING = FrameSampling(max_pixels=49_152)
BEFORE_S, FAULT_S = 30.0, 80.0
WINDOW = Verdict.unknown(Cause.SKIPPED)


@dataclass
class Tally:
    """What was found in all cameras of one kind."""

    cameras: Counter[Fault] = field(default_factory=Counter)
    found: Counter[Fault] = field(default_factory=Counter)
    other: Counter[tuple[Fault, Fault]] = field(default_factory=Counter)
    false: Counter[Fault] = field(default_factory=Counter)
    healthy_s: float = 0.0
    examined_ms: list[float] = field(default_factory=list)


def events_of(frames: Image, tally: Tally) -> Iterator[tuple[Fault, float, float]]:
    """The events that all camera rules make of frames at 2 fps: the fault, when it began and when it was told."""
    health = CameraHealth()
    rules = {fault: DurationRule(CameraFaultSettings(fault=fault), source="c", task=CAMERA) for fault in Fault}
    shown = (Frame(image, index / SAMPLING.fps) for index, image in enumerate(frames))
    for window in iter_windows(shown, SAMPLING):
        began = time.process_time()
        answers = health.examine(window)
        tally.examined_ms.append((time.process_time() - began) * 1000)
        verdict = Verdict.unknown(Cause.SKIPPED, start_s=window.start_s, end_s=window.end_s)
        judged = JudgedWindow(source="c", window=window.index, verdict=verdict, answers=answers)
        for fault, rule in rules.items():
            yield from ((fault, c.event.onset_s, window.end_s) for c in rule.push(judged) if c.kind == "opened")


def encoded(frames: Image, *, bitrate: int = 400_000) -> Image:
    """The frames after H.264 at the bit rate of a plain camera, one keyframe in five seconds."""
    size = (frames.shape[2] // 2 * 2, frames.shape[1] // 2 * 2)
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=2)
        (stream.width, stream.height), stream.pix_fmt, stream.bit_rate = size, "yuv420p", bitrate // 6
        stream.options = {"g": "10", "preset": "ultrafast", "tune": "zerolatency"}
        for image in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[: size[1], : size[0]]), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    data.seek(0)
    with av.open(data) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def looped(frames: Image, seconds: float, *, seed: int, strength: float) -> Image:
    """Frames to and fro, with the noise of a sensor, so that a short clip lasts."""
    there_and_back = np.concatenate([frames, frames[-2:0:-1]]) if len(frames) > 2 else frames
    count = round(seconds * SAMPLING.fps)
    return with_sensor_noise(there_and_back[np.arange(count) % len(there_and_back)], strength=strength, seed=seed)


def real_views(folder: Path, most: int) -> Iterator[Image]:
    """The sampled frames of each clip."""
    for path in sorted(folder.glob("*/*.mp4"))[:: max(1, 200 // most)]:
        frames = [frame.image for frame in read_frames(path, SAMPLING)]
        if len(frames) >= 2 and len({image.shape for image in frames}) == 1:
            yield np.stack(frames)


def drawn_views(count: int) -> Iterator[Image]:
    """Eight seconds of each of so many drawn scenes, in the size in which a model sees them."""
    for seed in range(count):
        clip = draw_clip(900_000 + seed, fps=SAMPLING.fps, duration_s=8.0, size_wh=(384, 288))
        yield np.stack([resize(image, SAMPLING.fit(384, 288)) for image in clip.frames])


def try_faults(views: Iterator[Image]) -> Tally:
    """Puts every fault in turn into every view."""
    tally = Tally()
    for seed, view in enumerate(views):
        strength = float(np.random.default_rng((41, seed)).uniform(1.0, 4.0))
        whole = looped(view, BEFORE_S + FAULT_S, seed=seed, strength=strength)
        at = round(BEFORE_S * SAMPLING.fps)
        for fault in Fault:
            broken = recorded(whole, at, fault, seed=seed)
            events = list(events_of(broken, tally))
            tally.cameras[fault] += 1
            tally.found[fault] += any(name is fault and onset_s >= BEFORE_S - 4 for name, onset_s, _ in events)
            for name in {name for name, onset_s, _ in events if name is not fault and onset_s >= BEFORE_S - 4}:
                tally.other[fault, name] += 1
            for name in {name for name, onset_s, _ in events if onset_s < BEFORE_S - 4}:
                tally.false[name] += 1
        for name, *_ in events_of(encoded(whole), tally):
            tally.false[name] += 1
        tally.healthy_s += BEFORE_S + FAULT_S
    return tally


def recorded(whole: Image, at: int, fault: Fault, *, seed: int) -> Image:
    """The frames as they are decoded, with a fault from one on; a stream freezes behind the encoder."""
    if fault is Fault.FROZEN:
        received = encoded(whole)
        return np.concatenate([received[:at], with_fault(received[at:], fault, seed=seed)])
    return encoded(np.concatenate([whole[:at], with_fault(whole[at:], fault, seed=seed)]))


def long_scenes(hours: float) -> Tally:
    """Drawn cameras over ten minutes each, in which the light goes up and down between a quarter and all of it."""
    tally = Tally()
    for seed in range(round(hours * 6)):
        rng = np.random.default_rng((43, seed))
        activity = "empty" if seed % 2 else None
        clip = draw_clip(800_000 + seed, fps=SAMPLING.fps, duration_s=600.0, size_wh=(192, 144), activity=activity)
        light = 0.625 + 0.375 * np.cos(np.linspace(0, rng.uniform(2, 12), len(clip.frames)) + rng.uniform(0, 6))
        lit = np.clip(clip.frames * light[:, None, None, None], 0, 255).astype(np.uint8)
        noisy = with_sensor_noise(lit, strength=float(rng.uniform(1, 4)), seed=seed)
        for name, *_ in events_of(encoded(noisy, bitrate=100_000), tally):
            tally.false[name] += 1
            print(f"  false alarm: scene {800_000 + seed}, {name}", file=sys.stderr)
        tally.healthy_s += 600.0
    return tally


def share(found: int, of: int) -> list[float]:
    """A share with its Clopper-Pearson interval of 95 %."""
    low = 0.0 if found == 0 else float(beta.ppf(0.025, found, of - found + 1))
    high = 1.0 if found == of else float(beta.ppf(0.975, found + 1, of - found))
    return [found / of, low, high]


def per_hour(events: int, hours: float) -> list[float]:
    """A rate with its exact Poisson interval of 95 %."""
    low = float(chi2.ppf(0.025, 2 * events) / 2) if events else 0.0
    return [events / hours, low / hours, float(chi2.ppf(0.975, 2 * events + 2) / 2) / hours]


def shown(tally: Tally) -> dict[str, object]:
    """Prints a tally, and returns it as plain data."""
    data: dict[str, object] = {"healthy_h": tally.healthy_s / 3600}
    for fault in Fault:
        false = per_hour(tally.false[fault], tally.healthy_s / 3600)
        told = f"{false[0]:.2f}/h [{false[1]:.2f}, {false[2]:.2f}] in {tally.healthy_s / 3600:.1f} h"
        text = f"  {fault:8} false alarms {told}"
        data[fault] = {"false_per_hour": false}
        if tally.cameras[fault]:
            found = share(tally.found[fault], tally.cameras[fault])
            others = {str(name): n for (put, name), n in sorted(tally.other.items()) if put is fault}
            text += (
                f"; found {found[0]:.3f} [{found[1]:.3f}, {found[2]:.3f}], n = {tally.cameras[fault]}; also {others}"
            )
            data[fault] = {"false_per_hour": false, "found": found, "n": tally.cameras[fault], "also": others}
        print(text)
    spent = np.percentile(tally.examined_ms, [50, 95])
    print(f"  {spent[0]:.2f} ms of the processor a window (95 %: {spent[1]:.2f}), n = {len(tally.examined_ms)}")
    return data | {"p50_ms": spent[0], "p95_ms": spent[1]}


def main(words: Sequence[str] | None = None) -> None:
    """Prints the figures, and writes them to a file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder of recorded clips, as shared/clips")
    parser.add_argument("--most", type=int, default=200)
    parser.add_argument("--drawn", type=int, default=200)
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(words)
    told: dict[str, object] = {}
    if asked.clips is not None:
        print("real clips, looped")
        told["real"] = shown(try_faults(real_views(asked.clips, asked.most)))
    if asked.drawn:
        print("drawn scenes")
        told["drawn"] = shown(try_faults(drawn_views(asked.drawn)))
    if asked.hours:
        print("drawn scenes, ten minutes each")
        told["long"] = shown(long_scenes(asked.hours))
    if asked.json is not None:
        asked.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
