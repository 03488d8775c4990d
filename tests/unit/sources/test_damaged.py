"""A hundred and fifty files damaged at random, from one seed: each gives frames or one clear error."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from films import Film

SEED = 20_261_120
DAMAGED = 150
LIMIT_S = 90

# In a process of its own, so that a crash or a hang is a failed test that names its file.
READER = """
import sys
from pathlib import Path
from vigil.errors import SourceError
from vigil.frames import Sampling
from vigil.sources.file import open_video
for path in sorted(Path(sys.argv[1]).iterdir()):
    print(path.name, end=" ", flush=True)
    try:
        with open_video(path, Sampling(max_pixels=12288)) as video:
            frames = list(video.frames())
            times = [frame.time_s for frame in frames]
            assert times == sorted(set(times)), times
            print("frames", len(frames), len(video.problems), flush=True)
    except SourceError as error:
        assert path.name in str(error)
        print("refused", flush=True)
"""


def cut_off(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(1, len(data)) :]


def flip_bytes(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice([1, 5, 50, 500])):
        data[dice.randrange(len(data))] = dice.randrange(256)


def blank_a_block(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data))
    data[start : start + 300] = bytes(len(data[start : start + 300]))


def lose_a_block(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data))
    del data[start : start + dice.randrange(1, 500)]


def repeat_a_block(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data))
    data[start:start] = data[start : start + dice.randrange(1, 2000)]


def spoil_the_head(data: bytearray, dice: random.Random) -> None:
    for _ in range(8):
        data[dice.randrange(min(600, len(data)))] = dice.randrange(256)


def insert_noise(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data))
    data[start:start] = dice.randbytes(200)


MUTATIONS: list[Callable[[bytearray, random.Random], None]] = [
    cut_off,
    flip_bytes,
    blank_a_block,
    lose_a_block,
    repeat_a_block,
    spoil_the_head,
    insert_noise,
]


def damage(sources: list[Path], folder: Path) -> None:
    dice = random.Random(SEED)
    folder.mkdir()
    for number in range(DAMAGED):
        source = sources[number % len(sources)]
        data = bytearray(source.read_bytes())
        for mutation in dice.choices(MUTATIONS, k=dice.choice([1, 1, 2, 3])):
            mutation(data, dice)
        (folder / f"{number:03d}-{source.name}").write_bytes(data)


@pytest.fixture
def sources(film: Film) -> list[Path]:
    small: dict[str, object] = {"frames": 50, "size_wh": (160, 128), "options": {"g": "10"}}
    return [
        film("plain.mp4", **small),
        film("fast.mp4", **small, container_options={"movflags": "faststart"}),
        film("fragmented.mp4", **small, container_options={"movflags": "frag_keyframe+empty_moov"}),
        film("a.mkv", **small),
        film("a.ts", **small),
        film("a.avi", **small),
        film("raw.h264", **small, format="h264"),
        film("a.flv", **small),
        film("mpeg4.avi", **small, codec="mpeg4"),
        film("mpeg2.mpg", **small, codec="mpeg2video"),
        film("h265.mp4", **{**small, "options": {"x265-params": "log-level=none:keyint=10"}}, codec="libx265"),
    ]


def test_damaged_files_neither_hang_nor_crash(sources: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    damage(sources, folder)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READER, str(folder)], capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"still reading after {LIMIT_S} s: {bytes(late.stdout or b'')[-60:]!r}")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"ended by {done.returncode} at {lines[-1:]}: {done.stderr[-2000:]}"
    assert len(lines) == DAMAGED
    read = [line for line in lines if " frames " in line]
    assert len(read) > DAMAGED // 2
    assert len(read) < DAMAGED
