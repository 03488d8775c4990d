"""The cameras of a watch room: those of its settings, those that were added since, and what was taken away.

What people change is remembered in a YAML file that may hold passwords: only its owner can read it. It is
written whole or not at all.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from vigil.config import from_mapping, read_yaml
from vigil.errors import StoreError, UsageError, redact
from vigil.files import for_owner, make_private_folder
from vigil.sources.address import Address, find_available_sources, find_sources
from vigil.sources.source_identity import Known, Renamed, named_apart, names_of_others
from vigil.store import Store
from vigil.store.cameras import CAMERA_ID
from vigil.store.database import parse_url, sqlite_path

log = logging.getLogger(__name__)

HEAD = """\
# What was changed in the watch room: cameras that were added, and those of the configuration that were removed.
# Written by Vigil; it may hold passwords, so keep it to yourself. Without it, the room starts as it is configured.
"""

Answer = TypeVar("Answer")

LONGEST_NAME = 80
ROOM = "room.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A camera as it is remembered."""

    name: str
    location: str = field(repr=False)
    confined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What the file holds."""

    added: tuple[Added, ...] = ()
    removed: tuple[str, ...] = ()


class CameraList:
    """Which cameras are wanted, by name, and which of them are paused. May be used from any thread.

    `file` is where changes are remembered (None: nowhere); `warnings` are the sources that cannot be found. To
    `most_cameras` none is added. `known` are the names that sources have had in the store; no other gets one of them,
    unless somebody says so; `renamed` are the names that people gave them there.
    """

    def __init__(
        self,
        sources: Sequence[str],
        *,
        file: Path | None,
        most_cameras: int = 64,
        known: Callable[[], Known] = dict,
        renamed: Callable[[], Renamed] = dict,
    ) -> None:
        self.file = file
        self.most_cameras = most_cameras
        self._known = known
        self._renamed = renamed
        self.warnings: tuple[str, ...] = ()
        self._sources = tuple(sources)
        self._lock = threading.RLock()
        self._loaded = False
        self._configured: dict[str, Address] = {}
        self._added: dict[str, Address] = {}
        self._away: list[Added] = []
        self._removed: set[str] = set()
        self._paused: set[str] = set()

    def load(self) -> None:
        """Finds the sources and reads what is remembered, once; raises ConfigError for a file that is damaged."""
        with self._lock:
            if self._loaded:
                return
            warnings: list[str] = []
            configured = named_apart(self._found(self._sources, warnings), self._known(), self._renamed())
            self._configured = {address.name: address for address in configured}
            kept = self._read()
            self._removed = {_shown_now(name) for name in kept.removed}
            for added in kept.added:
                found = self._found([added.location], warnings)
                self._away += [added] * (not found)
                self._take_back(added, [replace(address, confined=added.confined) for address in found])
            self.warnings = tuple(warnings)
            self._loaded = True

    @property
    def addresses(self) -> list[Address]:
        """The cameras that are wanted, those of the settings first."""
        with self._lock:
            self.load()
            kept = [address for name, address in self._configured.items() if name not in self._removed]
            return [*kept, *self._added.values()]

    @property
    def paused(self) -> frozenset[str]:
        """The names of those that are paused; it is not remembered: a watch that starts anew watches."""
        with self._lock:
            return frozenset(self._paused)

    def add(self, word: str, *, name: str = "", confined: bool = False) -> list[str]:
        """Wants what a word means, and remembers it; returns the names.

        Raises UsageError and SourceError for what cannot be a source, UsageError for what is there already, and for a
        camera too many.
        """
        with self._lock:
            self.load()
            found = [replace(_settled(address), confined=confined) for address in find_sources([word])]
            found = found if name else named_apart(found, self._known(), self._renamed())
            self._check_room(sum(address.is_live for address in found))
            names = self._add_all(found, name=name)
            self._write()
        return names

    def _add_all(self, found: Sequence[Address], *, name: str) -> list[str]:
        """All of them or none: half a folder would be watched today, and forgotten tomorrow."""
        before = dict(self._added), set(self._removed)
        try:
            return [self._add(address, name=name) for address in found]
        except Exception:
            self._added, self._removed = before
            raise

    def remove(self, name: str) -> None:
        """Wants a camera no more."""
        with self._lock:
            self.check(name)
            self._paused.discard(name)
            if self._added.pop(name, None) is None:
                self._removed.add(name)
            self._write()

    def pause(self, name: str) -> None:
        """Wants a camera later."""
        with self._lock:
            self.check(name)
            self._paused.add(name)

    def resume(self, name: str) -> None:
        """Wants a camera again."""
        with self._lock:
            self.check(name)
            self._paused.discard(name)

    def check(self, name: str) -> Address:
        """The camera of this name; raises UsageError when there is none."""
        for address in self.addresses:
            if address.name == name:
                return address
        raise UsageError(f"there is no camera {name!r}")

    def _check_room(self, more: int) -> None:
        """Every address counts, since one camera answers under as many as somebody likes to write."""
        there = sum(address.is_live for address in self.addresses) + len(self._away)
        if more and there + more > self.most_cameras:
            raise UsageError(
                f"{there} cameras are watched, and {self.most_cameras} are the most; remove one first, or raise "
                f"most_cameras in the settings of the watch (--set most_cameras={there + more})"
            )

    def _add(self, address: Address, *, name: str) -> str:
        same = {_identity(known): known.name for known in (*self._configured.values(), *self.addresses)}
        known = same.get(_identity(address))
        if known in self._removed:
            self._removed.discard(known)
            return known
        if known is not None:
            raise UsageError(f"{known} is being watched already")
        taken = {*self._configured, *self._added}
        if not name:
            taken |= names_of_others(address, self._known())
        named = replace(address, name=_free(_checked(name) or address.name, taken))
        self._added[named.name] = named
        return named.name

    def _take_back(self, added: Added, found: Sequence[Address]) -> None:
        """Wants a remembered camera, unless the configuration names it by now; its name may be taken by now, too."""
        known = {_identity(address) for address in (*self._configured.values(), *self._added.values())}
        for address in found[:1]:
            if _identity(address) not in known:
                name = _free(_shown_now(added.name), {*self._configured, *self._added})
                self._added[name] = replace(address, name=name)

    def _found(self, words: Sequence[str], warnings: list[str]) -> list[Address]:
        """What can be found now: one file that is away must not keep the other cameras unwatched."""
        found, problems = find_available_sources(words)
        for problem in problems:
            log.error("not watched: %s", problem)
        warnings += problems
        return found

    def _read(self) -> Remembered:
        if self.file is None or not self.file.exists():
            return Remembered()
        return from_mapping(Remembered, read_yaml(self.file), where=str(self.file))

    def _write(self) -> None:
        if self.file is None:
            return
        # What cannot be found today, as a file on a disk that is not mounted, is not forgotten for that.
        kept: list[Address | Added] = [*self._added.values(), *self._away]
        added = [{"name": each.name, "location": each.location, "confined": each.confined} for each in kept]
        text = HEAD + _dump({"added": added, "removed": sorted(self._removed)})
        partial = self.file.with_name(f"{self.file.name}.partial")
        try:
            make_private_folder(self.file.parent)
            partial.unlink(missing_ok=True)
            with open(partial, "x", encoding="utf-8", opener=for_owner) as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(self.file)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise StoreError(
                f"the change holds until Vigil ends, but cannot be remembered: {self.file}: {error.strerror}"
            ) from error


def import_room_file(store: str, folder: Path | None) -> Path | None:
    """Where the changes of a room are remembered: beside its store; None without one."""
    path = sqlite_path(parse_url(store)) if store else None
    beside = folder or (None if path is None else path.parent)
    return beside / ROOM if store and beside is not None else None


def names_in(store: str, folder: Path | None) -> Known:
    """The names that sources have had in a store; none where there is no store, or it cannot be read now."""
    return _asked(store, folder, lambda opened: opened.cameras.names()) or {}


def renamed_in(store: str, folder: Path | None) -> Renamed:
    """The names that people gave to cameras of a store; none where there is no store, or it cannot be read now."""
    return _asked(store, folder, lambda opened: opened.cameras.renamed()) or {}


def _asked(store: str, folder: Path | None, ask: Callable[[Store], Answer]) -> Answer | None:
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


def _settled(address: Address) -> Address:
    """A file by its whole path, since another start may be from another folder."""
    return replace(address, location=str(Path(address.location).resolve())) if address.kind == "file" else address


def _identity(address: Address) -> tuple[str, str]:
    return address.kind, _settled(address).location


def _checked(name: str) -> str:
    name = name.strip()
    if not name.isprintable() or len(name) > LONGEST_NAME:
        raise UsageError(f"a camera's name has at most {LONGEST_NAME} characters, all of them printable")
    if CAMERA_ID.fullmatch(name):
        raise UsageError(f"{name!r} looks like the id of a camera; choose another name")
    return name


def _shown_now(name: str) -> str:
    """A remembered name; one that an older Vigil made of an address may hold a secret."""
    return redact(name) if "://" in name else name


def _free(name: str, taken: set[str]) -> str:
    candidates = (name if number == 1 else f"{name} ({number})" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)
