"""`dataset_info.json`: how LLaMA-Factory finds the datasets of a folder. Other people's entries are kept."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vigil.dataset.clips import Split
from vigil.dataset.disk import read_json, write_atomically
from vigil.dataset.examples import SPLITS, split_name
from vigil.dataset.ownership import REGISTRY_NAME
from vigil.errors import DatasetError


def write_dataset_info(folder: Path, splits: Iterable[Split]) -> Path:
    """Enters the splits that exist into the folder's registry, takes out those that do not, keeps the rest.

    A registry that says so already is not written again.

    Raises DatasetError when the registry is damaged: it may hold entries of others, so it is not replaced.
    """
    path = folder / REGISTRY_NAME
    entries = read_dataset_info(path)
    before = dict(entries)
    present = set(splits)
    for split in SPLITS:
        entries.pop(split_name(split), None)
        if split in present:
            entries[split_name(split)] = _entry(split)
    if entries == before and path.exists():
        return path
    # LLaMA-Factory opens this file in the locale's encoding: ASCII reads the same in all of them.
    write_atomically(path, json.dumps(entries, indent=2, ensure_ascii=True) + "\n")
    return path


def read_dataset_info(path: Path) -> dict[str, Any]:
    """The entries of a registry; none when there is no file yet."""
    if not path.exists():
        return {}
    entries = read_json(path)
    if not isinstance(entries, dict):
        raise DatasetError(f"{path} must hold a JSON object; repair it, or move it away and build again")
    return entries


def _entry(split: Split) -> dict[str, Any]:
    return {
        "file_name": f"{split_name(split)}.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "videos": "videos"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
