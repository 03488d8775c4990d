"""Clips of people for tests: real ones where this checkout has them beside it (`../shared/clips`), else drawn ones."""

from pathlib import Path

from vigil.sources.address import find_videos
from vigil.synth.dataset import write_synth_dataset

REAL = Path(__file__).resolve().parents[2] / "shared" / "clips"


def clips(label: str, count: int, *, folder: Path) -> list[Path]:
    """So many clips of `fight` or `normal`; `folder` is where they are drawn."""
    if not REAL.is_dir():
        write_synth_dataset(folder, clips=2 * count, seed=3)
    return find_videos((REAL if REAL.is_dir() else folder) / label)[:count]
