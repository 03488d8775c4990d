"""Records in a model's manifest which clips it was trained on, so that it is not calibrated on them.

A clip is identified by a digest of its file, a recording by its name in a CSV of sources.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from vigil.dataset.frame_files import read_stored

DIGEST_HEX = 16
USED_KEY = "clips_used"
"""The key in a manifest's `training` that holds the clips by split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedClips:
    """The clips of one split; a digest has DIGEST_HEX hex digits."""

    digests: frozenset[str] = frozenset()
    recordings: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """The form in a manifest: digests in one string, because there may be thousands."""
        return {"digests": " ".join(sorted(self.digests)), "recordings": sorted(self.recordings)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Reads the form in a manifest; empty if it has another form."""
        if not isinstance(data, dict):
            return cls()
        digests, recordings = data.get("digests", ""), data.get("recordings", ())
        return cls(digests=frozenset(str(digests).split()), recordings=frozenset(map(str, recordings)))


def used_clips(folder: Path, rows: Iterable[Mapping[str, Any]]) -> UsedClips:
    """The clips that the examples of a dataset folder were extracted from."""
    first: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        first.setdefault(clip_of(row), row)
    groups = {str(row.get("group") or "") for row in first.values()}
    return UsedClips(
        digests=frozenset(digest for row in first.values() if (digest := stored_digest(folder, row))),
        # A guessed recording is named after one of its clips; that name means nothing in another folder.
        recordings=frozenset(groups - first.keys() - {""}),
    )


def clip_of(row: Mapping[str, Any]) -> str:
    """The name of an example's clip; without one, the folder of its frames."""
    return str(row.get("clip") or Path(_frames(row)[0]).parent)


def stored_digest(folder: Path, row: Mapping[str, Any]) -> str:
    """The digest of an example's video file, or of its frames if the video is unknown; empty if they are unreadable."""
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
