"""Files damaged at random, from one seed, each give frames or one clear error; tests/e2e reads a thousand of them."""

from pathlib import Path

import pytest

from films import Film
from mutations import Outcome, damage, film_kinds, read_guarded

SEED = 3
DAMAGED = 60
PEAK_MB = 400


def crashes(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.name, outcome.crash) for outcome in outcomes if outcome.crash]


def test_damaged_files_neither_hang_nor_crash(tmp_path: Path) -> None:
    paths = damage(film_kinds(tmp_path / "sound"), tmp_path / "damaged", count=DAMAGED, seed=SEED)
    outcomes = read_guarded(paths, workers=1)
    assert crashes(outcomes) == []
    read = [outcome for outcome in outcomes if outcome.frames]
    assert DAMAGED // 3 < len(read) < DAMAGED == len(outcomes)
    assert all(outcome.told for outcome in outcomes if outcome.frames is None)
    assert max(outcome.peak_mb for outcome in outcomes) < PEAK_MB


@pytest.mark.parametrize("side", [7_000, 65_000])
def test_a_picture_that_claims_to_be_huge_takes_little_memory(film: Film, side: int) -> None:
    path = film("a.avi", codec="mjpeg", pixels="yuvj420p", frames=10, size_wh=(64, 48))
    true, claimed = ((48).to_bytes(2, "big") + (64).to_bytes(2, "big"), side.to_bytes(2, "big") * 2)
    path.write_bytes(path.read_bytes().replace(b"\xff\xc0\x00\x11\x08" + true, b"\xff\xc0\x00\x11\x08" + claimed))
    (outcome,) = read_guarded([path], workers=1)
    assert outcome.crash == ""
    assert outcome.frames is None
    assert "could not be decoded" in outcome.told
    assert outcome.peak_mb < PEAK_MB


def test_a_file_that_kills_its_reader_is_named_and_the_next_are_read(film: Film) -> None:
    paths = [film(f"{number}.mp4", frames=50) for number in range(3)]
    outcomes = read_guarded(paths, limit_s=0.0005, workers=1)
    assert [outcome.name for outcome in outcomes] == ["0.mp4", "1.mp4", "2.mp4"]
    assert "Timeout" in outcomes[0].crash
