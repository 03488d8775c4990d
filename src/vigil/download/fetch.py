"""Downloads a model folder or completes it, checks the files against the hub's digests, and records them."""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from vigil.download.hubs import HUBS, Hub, Listing, translated_errors
from vigil.download.record import DownloadRecord, read_record, record_of
from vigil.errors import JobError, UsageError
from vigil.files import require_writable_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    """What to download: the model, the hub, the revision (empty for the hub's default), and the target folder."""

    model: str
    source: str
    revision: str
    folder: Path


def fetch_model(wanted: WantedFile) -> DownloadRecord:
    """Downloads a model, or its missing files, and writes its record; a complete unchanged folder is left as it is.

    Raises UsageError if the folder holds another model or foreign files, and JobError if the hub fails or a file has
    changed.
    """
    require_writable_folder(wanted.folder, "--to")
    existing = read_record(wanted.folder)
    if existing is None:
        _refuse_foreign(wanted.folder)
    else:
        _check_same(existing, wanted)
        if not existing.missing(wanted.folder):
            check_unchanged(existing, wanted.folder)
            log.info("%s is already downloaded: %s", wanted.folder, _origin(existing))
            return existing
        wanted = replace(wanted, revision=existing.commit or existing.revision)
    hub = HUBS[wanted.source]
    revision = wanted.revision or hub.default_revision
    listing = _fetch(hub, wanted, revision)
    if not (wanted.folder / "config.json").is_file():
        raise JobError(f"{hub.name} sent no config.json for {wanted.model}; is that the name of a model?")
    record = record_of(
        wanted.folder,
        model=wanted.model,
        source=hub.name,
        revision=existing.revision if existing else revision,
        commit=listing.commit,
        utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    _check_against_hub(record, listing, wanted)
    if existing is not None:
        check_unchanged(existing, wanted.folder)
    record.write(wanted.folder)
    log.info("%s is complete: %s, %d files", wanted.folder, _origin(record), len(record.files))
    return record


def check_unchanged(record: DownloadRecord, folder: Path) -> None:
    """Raises JobError if a folder no longer holds the downloaded files."""
    problems = record.problems(folder)
    if problems:
        raise JobError(
            f"{folder} is not what came from {record.source}: {', '.join(problems[:3])}"
            f"{f' and {len(problems) - 3} more' if len(problems) > 3 else ''}; find out who changed it, then remove "
            "the folder and fetch the model again"
        )


def _fetch(hub: Hub, wanted: WantedFile, revision: str) -> Listing:
    what = f"{wanted.model} at {revision}"
    log.info("fetching %s from %s into %s", what, hub.name, wanted.folder)
    with translated_errors(hub, what, wanted.folder):
        listing = hub.listing(wanted.model, revision)
        wanted.folder.mkdir(parents=True, exist_ok=True)
        hub.fetch(wanted.model, listing.commit or revision, wanted.folder)
    return listing


def _refuse_foreign(folder: Path) -> None:
    """Raises UsageError if a folder holds files that no download put there.

    A hidden folder marks an unfinished download, which the hubs' packages resume.
    """
    if not folder.is_dir() or any(path.name.startswith(".") and path.is_dir() for path in folder.iterdir()):
        return
    theirs = next(iter(sorted(folder.iterdir())), None)
    if theirs is not None:
        raise UsageError(
            f"{theirs} was not fetched by vigil download and stays as it is; name another folder with --to, or move "
            "it away"
        )


def _check_same(existing: DownloadRecord, wanted: WantedFile) -> None:
    same = existing.model == wanted.model and existing.source == wanted.source
    if same and wanted.revision in ("", existing.revision, existing.commit):
        return
    raise UsageError(
        f"{wanted.folder} holds another model or revision ({_origin(existing)}); name another folder with --to, or "
        "remove it"
    )


def _check_against_hub(record: DownloadRecord, listing: Listing, wanted: WantedFile) -> None:
    for name, sha256 in listing.sha256.items():
        file = record.files.get(name)
        if file is not None and file.sha256 != sha256.lower():
            raise JobError(
                f"{wanted.folder / name} is not the file that {record.source} names (its SHA-256 differs); remove it, "
                "then run the same command"
            )


def _origin(record: DownloadRecord) -> str:
    return f"{record.model} at {record.commit or record.revision} from {record.source}"
