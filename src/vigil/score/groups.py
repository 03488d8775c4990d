"""Which recording each clip was cut from, as a CSV of sources tells it (columns `clip` and `source`)."""

import csv
from collections.abc import Sequence
from pathlib import Path

from vigil.errors import DatasetError

SOURCES_NAME = "sources.csv"


def groups_beside(paths: Sequence[Path]) -> dict[str, str]:
    """The groups in the `sources.csv` of the given folders, by clip; empty where there is none."""
    groups: dict[str, str] = {}
    for path in paths:
        file = path / SOURCES_NAME
        if file.is_file():
            groups |= read_groups(file)
    return groups


def read_groups(path: Path) -> dict[str, str]:
    """The recording of each clip by its name; raises DatasetError when the columns are not there."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return {row["clip"]: row["source"] for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise DatasetError(f"{path} must be a CSV with the columns clip and source ({error})") from error
