"""The list of cameras to watch: those of the settings and those added since, without those removed since.

Changes are saved in a YAML file, written atomically. It may contain passwords, so only its owner can read it.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from vigil.config import from_mapping, read_yaml
from vigil.errors import StoreError, UsageError, VigilError, redact
from vigil.files import make_private_folder, write_atomically
from vigil.sources.address import Address, Source, find_available_sources, find_sources
from vigil.sources.source_identity import KnownNames, RenamedSources, identity_of, named_apart, names_of_others
from vigil.store import Store
from vigil.store.cameras import CAMERA_ID
from vigil.store.database import parse_url, sqlite_path

log = logging.getLogger(__name__)

HEAD = """\
# What was changed while watching: cameras that were added or paused, and those of the configuration that were removed.
# Written by Vigil; it may hold passwords, so keep it to yourself. Without it, the room starts as it is configured.
"""

Result = TypeVar("Result")

MAX_NAME_CHARS = 80
ROOM = "room.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """An added camera as it is saved."""

    name: str
    location: str = field(repr=False)
    confined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedChanges:
    """The content of the file; `paused` holds identities (`vigil.sources.source_identity`), which outlive a name."""

    added: tuple[Added, ...] = ()
    removed: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()


class CameraList:
    """The cameras to watch, by name, and which of them are paused; thread-safe.

    Changes are saved in `file` (None: not saved). `warnings` are the sources that cannot be found. `most_cameras`
    limits the live sources. `known` returns the names that sources have had in the store; another source gets one of
    them only if a user chooses it. `renamed` returns the names that users gave to sources there.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        file: Path | None,
        most_cameras: int = 64,
        known: Callable[[], KnownNames] = dict,
        renamed: Callable[[], RenamedSources] = dict,
    ) -> None:
        self.file = file
        self.most_cameras = most_cameras
        self._stored_names = known
        self._renamed = renamed
        self.warnings: tuple[str, ...] = ()
        self._sources = tuple(sources)
        self._lock = threading.RLock()
        self._loaded = False
        self._configured: dict[str, Address] = {}
        self._added: dict[str, Address] = {}
        self._missing: list[Added] = []
        self._removed: set[str] = set()
        self._paused: set[str] = set()
        self._paused_elsewhere: set[str] = set()

    def load(self) -> None:
        """Finds the sources and reads the saved changes, once; raises ConfigError if the file is damaged."""
        with self._lock:
            if self._loaded:
                return
            warnings: list[str] = []
            configured = named_apart(self._found(self._sources, warnings), self._stored_names(), self._renamed())
            self._configured = {address.name: address for address in configured}
            kept = self._read()
            self._removed = {_without_secret(name) for name in kept.removed}
            for added in kept.added:
                found = self._found([added.location], warnings)
                self._missing += [added] * (not found)
                self._restore(added, [replace(address, confined=added.confined) for address in found])
            self._restore_pauses(set(kept.paused))
            self.warnings = tuple(warnings)
            self._loaded = True

    @property
    def addresses(self) -> list[Address]:
        """The cameras to watch, those of the settings first."""
        with self._lock:
            self.load()
            kept = [address for name, address in self._configured.items() if name not in self._removed]
            return [*kept, *self._added.values()]

    @property
    def paused(self) -> frozenset[str]:
        """The names of the paused cameras, which stay so after a restart; empty if the list cannot be loaded."""
        with self._lock:
            with suppress(VigilError):
                self.load()
            return frozenset(self._paused)

    def add(self, source: str, *, name: str = "", confined: bool = False) -> list[str]:
        """Adds the sources that `source` names and saves them; returns their names.

        Raises UsageError and SourceError if it is not a source, UsageError if a source is in the list already or
        there would be more than `most_cameras`.
        """
        with self._lock:
            self.load()
            found = [replace(_with_absolute_path(address), confined=confined) for address in find_sources([source])]
            found = found if name else named_apart(found, self._stored_names(), self._renamed())
            self._check_room(sum(address.is_live for address in found))
            names = self._add_all(found, name=name)
            self._write()
        return names

    def _add_all(self, found: Sequence[Address], *, name: str) -> list[str]:
        """Adds all sources or none: a folder added in part would not be saved."""
        before = dict(self._added), set(self._removed)
        try:
            return [self._add(address, name=name) for address in found]
        except Exception:
            self._added, self._removed = before
            raise

    def remove(self, name: str) -> None:
        """Removes a camera; raises UsageError if there is none of this name."""
        with self._lock:
            self.check(name)
            self._paused.discard(name)
            if self._added.pop(name, None) is None:
                self._removed.add(name)
            self._write()

    def rename(self, name: str, new_name: str) -> None:
        """Gives a camera another name; raises UsageError if there is none of this name, or the new one is taken.

        The name of an added camera is saved. That of a configured one is the one in the store, which its caller
        changes (`CameraTable.rename`).
        """
        with self._lock:
            address = self.check(name)
            new_name = _valid_name(new_name)
            if new_name == name:
                return
            if not new_name or new_name in {*self._configured, *self._added}:
                raise UsageError(f"there is a camera {new_name!r} already; choose another name")
            held = self._added if name in self._added else self._configured
            renamed = {each: held[each] for each in held}
            held.clear()
            for each, known in renamed.items():
                held[new_name if each == name else each] = replace(address, name=new_name) if each == name else known
            if name in self._paused:
                self._paused = (self._paused - {name}) | {new_name}
            self._write()

    def pause(self, name: str) -> None:
        """Marks a camera as paused; raises UsageError if there is none of this name."""
        with self._lock:
            self.check(name)
            self._paused.add(name)
            self._write()

    def resume(self, name: str) -> None:
        """Marks a camera as not paused; raises UsageError if there is none of this name."""
        with self._lock:
            self.check(name)
            self._paused.discard(name)
            self._write()

    def check(self, name: str) -> Address:
        """The camera with this name; raises UsageError if there is none."""
        for address in self.addresses:
            if address.name == name:
                return address
        raise UsageError(f"there is no camera {name!r}")

    def _check_room(self, more: int) -> None:
        """Raises UsageError if there would be too many cameras; every address counts, even if two reach one camera."""
        num_live = sum(address.is_live for address in self.addresses) + len(self._missing)
        if more and num_live + more > self.most_cameras:
            raise UsageError(
                f"{num_live} cameras are watched, and {self.most_cameras} are the most; remove one first, or raise "
                f"most_cameras in the settings of the watch (--set most_cameras={num_live + more})"
            )

    def _add(self, address: Address, *, name: str) -> str:
        names = {_identity(known): known.name for known in (*self._configured.values(), *self.addresses)}
        known = names.get(_identity(address))
        if known in self._removed:
            self._removed.discard(known)
            return known
        if known is not None:
            raise UsageError(f"{known} is being watched already")
        taken = {*self._configured, *self._added}
        if not name:
            taken |= names_of_others(address, self._stored_names())
        named = replace(address, name=_free(_valid_name(name) or address.name, taken))
        self._added[named.name] = named
        if self._paused_elsewhere:
            self._paused_elsewhere.discard(identity_of(named))
        return named.name

    def _restore(self, added: Added, found: Sequence[Address]) -> None:
        """Restores a saved camera unless it is in the settings by now; if its name is taken, it gets another one."""
        known = {_identity(address) for address in (*self._configured.values(), *self._added.values())}
        for address in found[:1]:
            if _identity(address) not in known:
                name = _free(_without_secret(added.name), {*self._configured, *self._added})
                self._added[name] = replace(address, name=name)

    def _restore_pauses(self, paused: set[str]) -> None:
        """Pauses the cameras with these identities; those that are not in the list now are not forgotten."""
        if not paused:
            return
        identities = {name: identity_of(each) for name, each in (self._configured | self._added).items()}
        self._paused = {name for name, identity in identities.items() if identity in paused}
        self._paused_elsewhere = paused - set(identities.values())

    def _saved_pauses(self) -> list[str]:
        known = self._configured | self._added
        return sorted({identity_of(known[name]) for name in self._paused if name in known} | self._paused_elsewhere)

    def _found(self, sources: Sequence[Source], warnings: list[str]) -> list[Address]:
        """The sources that can be found now; a missing one is logged and does not affect the others."""
        found, problems = find_available_sources(sources)
        for problem in problems:
            log.error("not watched: %s", problem)
        warnings += problems
        return found

    def _read(self) -> SavedChanges:
        if self.file is None or not self.file.exists():
            return SavedChanges()
        return from_mapping(SavedChanges, read_yaml(self.file), where=str(self.file))

    def _write(self) -> None:
        if self.file is None:
            return
        # Cameras that cannot be found now, such as a file on an unmounted disk, are kept.
        kept: list[Address | Added] = [*self._added.values(), *self._missing]
        added = [{"name": each.name, "location": each.location, "confined": each.confined} for each in kept]
        saved = {"added": added, "removed": sorted(self._removed), "paused": self._saved_pauses()}
        text = HEAD + _dump(saved)
        try:
            make_private_folder(self.file.parent)
            write_atomically(self.file, text, private=True)
        except OSError as error:
            raise StoreError(
                f"the change holds until Vigil ends, but cannot be saved: {self.file}: {error.strerror}"
            ) from error


def room_file(store: str, folder: Path | None) -> Path | None:
    """The path of the file in which changes are saved: `room.yaml` beside the store; None without a store."""
    path = sqlite_path(parse_url(store)) if store else None
    beside = folder or (None if path is None else path.parent)
    return beside / ROOM if store and beside is not None else None


def names_in(store: str, folder: Path | None) -> KnownNames:
    """The names that sources have had in a store; empty if there is no store or it cannot be read."""
    return _query(store, folder, lambda opened: opened.cameras.names()) or {}


def renamed_in(store: str, folder: Path | None) -> RenamedSources:
    """The names that users gave to cameras of a store; empty if there is no store or it cannot be read."""
    return _query(store, folder, lambda opened: opened.cameras.renamed()) or {}


def _query(store: str, folder: Path | None, ask: Callable[[Store], Result]) -> Result | None:
    path = sqlite_path(parse_url(store)) if store else None
    if not store or (path is not None and not path.exists()):
        return None
    try:
        with Store.open(store, folder=folder, create=False) as opened:
            return ask(opened)
    except StoreError as error:
        log.warning("the names in the store cannot be read: %s", error)
        return None


def _dump(data: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=1000)
    return text


def _with_absolute_path(address: Address) -> Address:
    """A file with its absolute path, as the next start may be from another working directory."""
    return replace(address, location=str(Path(address.location).resolve())) if address.kind == "file" else address


def _identity(address: Address) -> tuple[str, str]:
    return address.kind, _with_absolute_path(address).location


def _valid_name(name: str) -> str:
    name = name.strip()
    if not name.isprintable() or len(name) > MAX_NAME_CHARS:
        raise UsageError(f"a camera's name has at most {MAX_NAME_CHARS} characters, all of them printable")
    if CAMERA_ID.fullmatch(name):
        raise UsageError(f"{name!r} looks like the id of a camera; choose another name")
    return name


def _without_secret(name: str) -> str:
    """A saved name; one that an older version made from an address may contain a password, which is removed."""
    return redact(name) if "://" in name else name


def _free(name: str, taken: set[str]) -> str:
    candidates = (name if number == 1 else f"{name} ({number})" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)
