"""Which clips a model has met: kept in its manifest, so that nobody calibrates it on what it knows.

A clip is known by the bytes of its file, a recording by the name that a CSV of sources gave it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from vigil.dataset.frame_files import read_stored

DIGEST_HEX = 16
USED_KEY = "clips_used"
"""Where the `training` of a manifest says which clips the model has met, by split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedClips:
    """The clips of one split; digests have DIGEST_HEX hex digits."""

    digests: frozenset[str] = frozenset()
    recordings: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """What a manifest keeps: the digests on one line, as there may be thousands."""
        return {"digests": " ".join(sorted(self.digests)), "recordings": sorted(self.recordings)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """What a manifest tells; nothing where it tells it in another form."""
        if not isinstance(data, dict):
            return cls()
        digests, recordings = data.get("digests", ""), data.get("recordings", ())
        return cls(digests=frozenset(str(digests).split()), recordings=frozenset(map(str, recordings)))


def used_clips(folder: Path, rows: Iterable[Mapping[str, Any]]) -> UsedClips:
    """The clips that the examples of a dataset folder are cut from."""
    first: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        first.setdefault(clip_of(row), row)
    groups = {str(row.get("group") or "") for row in first.values()}
    return UsedClips(
        digests=frozenset(digest for row in first.values() if (digest := stored_digest(folder, row))),
        # A recording that was guessed is called after one of its clips; in another folder that name means nothing.
        recordings=frozenset(groups - first.keys() - {""}),
    )


def clip_of(row: Mapping[str, Any]) -> str:
    """The name of the clip of an example; the folder of its frames where nobody has named it."""
    return str(row.get("clip") or Path(_frames(row)[0]).parent)


def stored_digest(folder: Path, row: Mapping[str, Any]) -> str:
    """Names the file that an example was cut from; its pictures, where only they are known; empty without any."""
    frames = [folder / frame for frame in _frames(row)]
    stored = read_stored(frames[0].parent)
    if stored is not None:
        return stored.video_digest[:DIGEST_HEX]
    digest = hashlib.sha256()
    try:
        for frame in frames:
            digest.update(frame.read_bytes())
    except OSError:
        return ""
    return digest.hexdigest()[:DIGEST_HEX]


def _frames(row: Mapping[str, Any]) -> list[str]:
    return [str(frame) for frame in row["videos"][0]]
