"""Damaged video files for tests: small films of every kind, spoilt at random from one seed, and read under guard.

films = film_kinds(folder); paths = damage(films, folder, count=1000, seed=1); outcomes = read_guarded(paths)
"""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from films import rotate_by_metadata, shoot
from waiting import HANG_S

SMALL: dict[str, Any] = {"frames": 50, "size_wh": (128, 96), "options": {"g": "10"}, "noise": 20}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
H265 = {"x265-params": "log-level=none:keyint=10"}
VP = {"g": "10", "deadline": "good", "cpu-used": "5"}

KINDS: dict[str, dict[str, Any]] = {
    "moov-last.mp4": {},
    "moov-first.mp4": {"container_options": {"movflags": "faststart"}},
    "fragmented.mp4": {"container_options": FRAGMENTS},
    "sound.mp4": {"sound": True, "size_wh": (160, 120)},
    "rotated.mov": {},
    "h264.mkv": {},
    "sound.mkv": {"sound": True},
    "h264.ts": {},
    "sound.ts": {"sound": True},
    "h264.avi": {},
    "mpeg4.avi": {"codec": "mpeg4", "size_wh": (64, 48)},
    "raw.h264": {"format": "h264"},
    "vp8.webm": {"codec": "libvpx", "options": VP},
    "vp9.webm": {"codec": "libvpx-vp9", "options": VP},
    "h264.flv": {},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "h265.mp4": {"codec": "libx265", "options": H265},
    "mjpeg.mov": {"codec": "mjpeg", "pixels": "yuvj420p", "size_wh": (64, 48)},
}
"""How `films.shoot` makes each of them."""

FIELDS = (
    b"tkhd mvhd mdhd stsd avc1 hvc1 avcC hvcC stts ctts stsz stsc stco elst mvex trex tfhd trun tfdt mfhd sidx "
    b"avih strh strf idx1 LIST movi onMetaData \x16\x54\xae\x6b \x15\x49\xa9\x66 \x1f\x43\xb6\x75 \x2a\xd7\xb1 "
    b"\xb0\x82 \x00\x00\x01\x67 \x00\x00\x01\xb3 \x00\x00\x01\xba \x47\x40\x00"
).split(b" ")
"""What headers are found by: boxes of mp4, chunks of AVI, elements of Matroska, start codes."""

LIES = [
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\x00" * 4,
    b"\xff\xff\xff\x7f",
    b"\x10\x00\x00\x00",
    b"\xff" * 8,
    b"\x80" + bytes(7),
]

Dice = random.Random


def cut_off(data: bytearray, dice: Dice) -> None:
    del data[dice.randrange(1, len(data)) :]


def flip_bits(data: bytearray, dice: Dice) -> None:
    for _ in range(dice.choice([1, 5, 50, 500])):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def overwrite_bytes(data: bytearray, dice: Dice) -> None:
    for _ in range(dice.choice([1, 5, 50])):
        data[dice.randrange(len(data))] = dice.randrange(256)


def blank_a_block(data: bytearray, dice: Dice) -> None:
    start = dice.randrange(len(data))
    block = data[start : start + dice.choice([16, 300, 4096])]
    data[start : start + len(block)] = bytes(len(block))


def lose_a_block(data: bytearray, dice: Dice) -> None:
    start = dice.randrange(len(data))
    del data[start : start + dice.randrange(1, 500)]


def repeat_a_block(data: bytearray, dice: Dice) -> None:
    start = dice.randrange(len(data))
    data[start:start] = data[start : start + dice.randrange(1, 2000)]


def swap_blocks(data: bytearray, dice: Dice) -> None:
    length = dice.choice([4, 188, 1024])
    if len(data) > 2 * length:
        a, b = sorted(dice.sample(range(0, len(data) - length, length), 2))
        data[a : a + length], data[b : b + length] = data[b : b + length], data[a : a + length]


def insert_noise(data: bytearray, dice: Dice) -> None:
    start = dice.randrange(len(data))
    data[start:start] = dice.randbytes(200)


def append_garbage(data: bytearray, dice: Dice) -> None:
    data += dice.choice([dice.randbytes(3000), bytes(3000), bytes(data[: len(data) // 2])])


def spoil_the_head(data: bytearray, dice: Dice) -> None:
    for _ in range(8):
        data[dice.randrange(min(600, len(data)))] = dice.randrange(256)


def lie_in_a_header(data: bytearray, dice: Dice) -> None:
    """Sizes, lengths, counts and dimensions that cannot be."""
    places = [place for field in FIELDS if (place := data.find(field)) >= 0]
    for _ in range(dice.choice([1, 2, 4])):
        start = (dice.choice(places) if places else 0) + dice.randrange(4, 60)
        lie = dice.choice(LIES)[: dice.choice([1, 2, 4, 8])]
        data[start : start + len(lie)] = lie


MUTATIONS: list[Callable[[bytearray, Dice], None]] = [
    cut_off,
    flip_bits,
    overwrite_bytes,
    blank_a_block,
    lose_a_block,
    repeat_a_block,
    swap_blocks,
    insert_noise,
    append_garbage,
    spoil_the_head,
    lie_in_a_header,
    lie_in_a_header,
]


def film_kinds(folder: Path, kinds: Iterable[str] = KINDS) -> list[Path]:
    """One sound film of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in kinds:
        shoot(folder / name, **{**SMALL, **KINDS[name]})
        if name.startswith("rotated"):
            rotate_by_metadata(folder / name)
    return [folder / name for name in kinds]


def damage(films: list[Path], folder: Path, *, count: int, seed: int) -> list[Path]:
    """`count` damaged copies; number and seed alone decide what a file is. A tenth bear the name of another kind."""
    folder.mkdir(parents=True)
    paths = []
    for number in range(count):
        dice = random.Random(f"{seed}-{number}")
        film = films[number % len(films)]
        data = bytearray(film.read_bytes())
        for mutation in dice.choices(MUTATIONS, k=dice.choice([1, 1, 2, 3])):
            mutation(data, dice)
        suffix = dice.choice(films).suffix if dice.random() < 0.1 else film.suffix
        paths.append(folder / f"{number:04d}-{film.stem}{suffix}")
        paths[-1].write_bytes(data)
    return paths


@dataclass(frozen=True)
class Outcome:
    """What came of one file: `frames` is None where it was refused, `crash` says how the reader died."""

    name: str
    frames: int | None = None
    told: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0
    crash: str = ""


READER = """
import faulthandler, json, resource, sys, time
from pathlib import Path
from vigil.errors import SourceError
from vigil.frames import FrameSampling
from vigil.sources.video_file import open_video

limit_s = float(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
for name in sys.stdin.read().splitlines():
    path = Path(name)
    print(json.dumps({"reading": path.name}), flush=True)
    faulthandler.dump_traceback_later(limit_s, exit=True)
    began_s, frames, last_s = time.monotonic(), 0, -1.0
    try:
        with open_video(path, FrameSampling(max_pixels=12288), fast=len(path.name) % 4 == 0) as video:
            for frame in video.frames():
                assert frame.time_s > last_s, (frame.time_s, last_s)
                assert frame.image.size <= 3 * 12288
                frames, last_s = frames + 1, frame.time_s
            told = "; ".join(video.problems)
    except SourceError as error:
        assert path.name in str(error), error
        frames, told = None, str(error)
    faulthandler.cancel_dump_traceback_later()
    outcome = {"name": path.name, "frames": frames, "told": told, "seconds": time.monotonic() - began_s}
    # Not ru_maxrss, which a program inherits from whoever started it.
    outcome["peak_mb"] = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps(outcome), flush=True)
"""


def read_guarded(paths: list[Path], *, limit_s: float = HANG_S, workers: int = 2) -> list[Outcome]:
    """Reads files in processes of their own; one that crashes or takes longer than `limit_s` is noted, not the end."""
    shares = [paths[worker::workers] for worker in range(workers)]
    with ThreadPoolExecutor(workers) as pool:
        return [outcome for share in pool.map(lambda s: list(_read_share(s, limit_s)), shares) for outcome in share]


def _read_share(paths: list[Path], limit_s: float) -> Iterator[Outcome]:
    while paths:
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", READER, str(limit_s)],
            input="\n".join(map(str, paths)),
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        yield from (Outcome(**line) for line in lines if "name" in line)
        if done.returncode == 0:
            return
        died_at = lines[-1]["reading"] if lines and "reading" in lines[-1] else paths[0].name
        yield Outcome(died_at, crash=f"ended by {done.returncode}: {done.stderr[-1500:]}")
        paths = paths[[path.name for path in paths].index(died_at) + 1 :]
