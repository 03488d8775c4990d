"""A thousand damaged video files: no hang, no crash, no flood of memory; each gives frames or one clear message."""

import time
from pathlib import Path

import pytest

from mutations import damage, film_kinds, read_guarded

SEED = 20_261_120
DAMAGED = 1000
PEAK_MB = 2048
"""Of 30,000 files one made FFmpeg take 1.2 GB for a second, to open it; all others stayed below 300 MB."""


@pytest.mark.e2e
def test_a_thousand_damaged_files_give_frames_or_a_message(tmp_path: Path) -> None:
    films = film_kinds(tmp_path / "sound")
    paths = damage(films, tmp_path / "damaged", count=DAMAGED, seed=SEED)
    began_s = time.monotonic()
    outcomes = read_guarded(paths)
    read = [outcome for outcome in outcomes if outcome.frames]
    refused = [outcome for outcome in outcomes if outcome.frames is None and not outcome.crash]
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    peak_mb = max(outcome.peak_mb for outcome in outcomes)
    print(
        f"\n{len(outcomes)} files of seed {SEED} in {time.monotonic() - began_s:.0f} s: {len(read)} read "
        f"({sum(1 for outcome in read if outcome.told)} with a word of what was wrong), {len(refused)} refused; "
        f"slowest {slowest.name} {slowest.seconds:.1f} s; peak {peak_mb:.0f} MB"
    )
    assert [(outcome.name, outcome.crash) for outcome in outcomes if outcome.crash] == []
    assert len(outcomes) == DAMAGED == len(read) + len(refused)
    assert all(outcome.told for outcome in refused)
    assert peak_mb < PEAK_MB
