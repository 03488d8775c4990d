"""Finds the sources that a user names, and shows them without passwords.

    find_sources(["clips/", "0", "rtsp://admin:secret@10.0.0.7/1", "camera.txt"])

An address is untrusted input and its password is a secret: only known schemes are accepted, `location` is excluded
from `repr`, and everything shown or logged uses `name` or `vigil.errors.redact`.

`find_videos` finds the video files of a folder, for watching, datasets and scoring alike.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from vigil.errors import SourceError, UsageError, VigilError, redact, without_secrets
from vigil.file_names import readable
from vigil.hosts import HostPort, parse_address
from vigil.masks import Mask, checked_masks
from vigil.rules.camera_rules import CameraRules, OwnThresholds
from vigil.rules.camera_tasks import CameraTask

log = logging.getLogger(__name__)


EXTENSIONS = frozenset(
    {
        ".264",
        ".265",
        ".3g2",
        ".3gp",
        ".asf",
        ".avi",
        ".dav",
        ".divx",
        ".flv",
        ".h264",
        ".h265",
        ".hevc",
        ".m2ts",
        ".m4v",
    }
    | {".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
)


def is_video(path: Path) -> bool:
    """Returns whether the file name has a video extension; hidden names never count."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def find_videos(folder: Path) -> list[Path]:
    """Returns every video file under `folder`, at any depth, sorted by path.

    Unreadable and empty files are included, so that the caller can report them. Raises SourceError if there is no such
    folder.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder that can be read; name the folder that holds the videos")
    return sorted(path for path in walk_files(folder) if is_video(path) and not path.is_dir())


def walk_files(folder: Path) -> Iterator[Path]:
    """Yields the files under a folder; follows links, enters each real folder once, and skips hidden names."""
    entered: set[Path] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = Path(root).resolve()
        folders[:] = [] if real in entered else sorted(name for name in folders if not name.startswith("."))
        if real not in entered:
            yield from (Path(root) / name for name in names if not name.startswith("."))
        entered.add(real)


__all__ = ["Address", "find_available_sources", "find_sources", "read_camera_file", "redact", "shorten_for_display"]

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
SCHEMES = tuple(PORTS)
CAMERA_FILE_BYTES = 64_000
EXAMPLE = "rtsp://HOST/PATH"
MAX_SHOWN_CHARS = 160
"""The maximum length of a word in a message; the middle is cut because the end of a path says more."""

SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):(//)?")
WHOLE_SCHEME = re.compile(r"(?<![a-zA-Z0-9+.-])[a-zA-Z0-9+.-]+://")
NAMED = re.compile(r"(?P<name>[^@=:/]+?)\s+(?P<address>[a-zA-Z][a-zA-Z0-9+.-]*://.*)")
"""A line of a camera file: the owner's name for the camera, and its address."""
ENTRY = re.compile(r"(?P<name>[^@=:/]+)=(?P<address>[a-zA-Z][a-zA-Z0-9+.-]*://.*|[0-9]{1,4})")
"""A source with a name before it, as on a command line: `door=rtsp://HOST/PATH`, `yard=0`."""
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """A source in a settings file that says more than its address: `{name: door, url: rtsp://..., place: north gate}`.

    `url` is whatever a source may be, also a webcam's number or a file. `masks` are polygons (`vigil.masks`); an empty
    list takes away those that were set before. `rules`, `thresholds`, `schedule`, `timezone` and `tasks` are the
    camera's own (`vigil.rules.CameraRules`); if none of them is there, the entry says nothing of rules. A task may be
    just the name of a question.
    """

    url: str | int = field(repr=False)
    name: str = ""
    place: str = ""
    masks: tuple[Mask, ...] | None = None
    rules: tuple[str, ...] | None = None
    thresholds: tuple[OwnThresholds, ...] | None = None
    schedule: str | None = None
    timezone: str | None = None
    tasks: tuple[str | CameraTask, ...] | None = None

    def __post_init__(self) -> None:
        for what, text in (("name", self.name), ("place", self.place)):
            if len(text) > LONGEST_NAME or not text.isprintable():
                raise UsageError(f"the {what} of a source has at most {LONGEST_NAME} characters, all of them printable")
        checked_masks(self.masks or ())
        _ = self.camera_rules

    @property
    def camera_rules(self) -> CameraRules | None:
        """The rules that the entry says, None if it says none; raises UsageError if they fit no watch."""
        said = {name: getattr(self, name) for name in ("rules", "thresholds", "schedule", "timezone")}
        told = {name: value for name, value in said.items() if value is not None}
        if self.tasks is not None:
            told["tasks"] = tuple(CameraTask(question=each) if isinstance(each, str) else each for each in self.tasks)
        return CameraRules(**told) if told else None


Source: TypeAlias = str | SourceEntry
"""A source as it is named: an argument of a command line, or an entry of a settings file."""


@dataclass(frozen=True, slots=True)
class Address:
    """One source. `name` is shown and unique among sources found together; `location` may contain a password.

    A stream is named by its redacted address (`vigil.errors`) or by its owner. `location` is a file's path, a webcam's
    number, or a stream's address rebuilt from its checked parts. A `confined` stream must stay on its host and port:
    redirects and playlists that lead elsewhere are refused. `place`, `masks` and `rules` are what the settings say of
    it; with None they say nothing of masks or rules.
    """

    kind: Literal["file", "webcam", "stream"]
    name: str
    location: str = field(repr=False)
    confined: bool = False
    place: str = ""
    masks: tuple[Mask, ...] | None = None
    rules: CameraRules | None = None

    @property
    def host_port(self) -> HostPort | None:
        """The host and port of a stream; None for other kinds."""
        if self.kind != "stream":
            return None
        parts = parse_address(self.location)
        return HostPort(parts.host, parts.port or PORTS[parts.scheme])

    @property
    def is_live(self) -> bool:
        """Whether the source is a camera rather than a file."""
        return self.kind != "file"

    def __str__(self) -> str:
        return self.name


def find_sources(arguments: Sequence[Source]) -> list[Address]:
    """Returns the sources that command-line arguments name: files, folders, webcam numbers, addresses, a `camera.txt`.

    An address may have a name before it (`door=rtsp://...`); settings files say more of a source (`SourceEntry`). Files
    of a folder are sorted; unreadable ones are included, so that they are reported. Duplicates are dropped with a
    warning. Raises UsageError for an argument that cannot be a source, SourceError for a file that does not exist.
    """
    if not arguments:
        raise UsageError("no source; name a video file, a folder, a webcam number, an address or a camera.txt")
    found: dict[tuple[str, str], Address] = {}
    for address in (address for argument in arguments for address in _expand(argument)):
        key = (address.kind, _identity(address))
        if key in found:
            log.warning("%s is named twice; it is watched once", address.name)
        found[key] = _both_said(found[key], address) if key in found else address
    return _unique(list(found.values()))


def _both_said(first: Address, second: Address) -> Address:
    """A source that is named twice has the masks of both, and the rules that were said first."""
    first = replace(first, rules=first.rules or second.rules)
    if first.masks is None or second.masks is None:
        return replace(first, masks=second.masks if first.masks is None else first.masks)
    return replace(first, masks=(*first.masks, *(mask for mask in second.masks if mask not in first.masks)))


def find_available_sources(arguments: Sequence[Source]) -> tuple[list[Address], list[str]]:
    """Returns the sources that can be found, and an error message for each of the others."""
    available, problems = [], []
    for argument in arguments:
        try:
            find_sources([argument])
        except VigilError as error:
            problems.append(str(error))
            continue
        available.append(argument)
    return (find_sources(available) if available else []), problems


def _identity(address: Address) -> str:
    return str(Path(address.location).resolve()) if address.kind == "file" else address.location


def _expand(argument: Source) -> Iterator[Address]:
    if isinstance(argument, SourceEntry):
        yield from _entry(argument)
        return
    named = ENTRY.fullmatch(argument)
    if named is not None and not _exists(argument):
        yield from _entry(SourceEntry(name=named["name"].strip(), url=named["address"]))
        return
    camera = _camera(argument)
    if camera is not None:
        yield camera
        return
    path = Path(argument)
    if _is_folder(path, argument):
        yield from _folder(path)
    elif path.suffix.lower() == ".txt":
        yield read_camera_file(path)
    else:
        yield Address("file", strip_invisible(path.name), str(path))


def _entry(entry: SourceEntry) -> list[Address]:
    """Returns the sources of an entry; raises UsageError if it names several by one name."""
    found = list(_expand(str(entry.url)))
    name = strip_invisible(entry.name.strip())
    if name and len(found) > 1:
        raise UsageError(f"{name!r} names {len(found)} sources; a name is that of one camera or one file")
    place = entry.place.strip()
    rules = entry.camera_rules
    return [replace(each, name=name or each.name, place=place, masks=entry.masks, rules=rules) for each in found]


def _exists(argument: str) -> bool:
    try:
        return Path(argument).exists()
    except (OSError, ValueError):
        return False


def _camera(argument: str) -> Address | None:
    """Returns the webcam or stream that an argument names; None if it may be a path."""
    if argument.isascii() and argument.isdecimal() and len(argument) <= 4:
        return Address("webcam", f"webcam {int(argument)}", str(int(argument)))
    match = SCHEME.match(argument)
    if match is None or not match[2]:
        return None
    scheme = match[1].lower()
    if scheme not in SCHEMES:
        hint = "; name the file itself" if scheme == "file" else ""
        raise UsageError(f"{shorten_for_display(argument)} is no address to watch: only {', '.join(SCHEMES)} are{hint}")
    try:
        location = parse_address(argument).location
    except ValueError as error:
        raise UsageError(f"the address {shorten_for_display(argument)} {error}") from error
    return Address("stream", without_secrets(location), location)


def shorten_for_display(argument: str) -> str:
    """Returns an argument as it may be shown in a message: shortened in the middle, without what precedes an @."""
    scheme = WHOLE_SCHEME.search(argument)
    before, at, after = argument.rpartition("@")
    if scheme is not None:
        shown = f"{'...' if scheme.start() else ''}{without_secrets(argument[scheme.start() :])}"
    elif before:
        shown = f"...{at}{without_secrets(f'://{after}').removeprefix('://')}"
    else:
        shown = redact(argument)
    shown = strip_invisible(shown)
    if len(shown) > MAX_SHOWN_CHARS:
        shown = f"{shown[: MAX_SHOWN_CHARS // 2]}...{shown[-MAX_SHOWN_CHARS // 2 :]}"
    return repr(shown)


def strip_invisible(text: str) -> str:
    """Replaces characters that cannot be seen, such as marks that reverse the text after them."""
    return "".join(c if c.isprintable() else "?" for c in readable(text))


def _is_folder(path: Path, argument: str) -> bool:
    try:
        if not argument or not path.exists():
            raise SourceError(
                f"there is no {shorten_for_display(argument)}; "
                "name a video file, a folder, a webcam number or an address"
            )
        return path.is_dir()
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{shorten_for_display(argument)} cannot be read as a path: {getattr(error, 'strerror', error)}"
        ) from error


def _folder(folder: Path) -> list[Address]:
    videos = find_videos(folder)
    if not videos:
        raise SourceError(f"{folder} holds no video files; name a folder that does, or the files")
    return [Address("file", strip_invisible(path.relative_to(folder).as_posix()), str(path)) for path in videos]


def read_camera_file(path: Path) -> Address:
    """Reads a camera file such as `camera.txt`: one webcam number or one address; `#` starts a comment.

    The address may be preceded by a name (`the yard  rtsp://10.0.0.7/1`), which becomes the camera's name. Raises
    UsageError naming the line, SourceError if the file cannot be read.
    """
    named = [(number, line) for number, line in enumerate(_lines(path), start=1) if line]
    if not named:
        raise UsageError(f"{path} names no camera; write a webcam number or an address on a line of its own")
    number, line = named[0]
    try:
        camera = _named_camera(line)
    except UsageError as error:
        raise UsageError(f"{path}, line {number}: {error}") from error
    if camera is None:
        raise UsageError(
            f"{path}, line {number}: {shorten_for_display(line)} "
            f"is neither a webcam number nor an address such as {EXAMPLE}"
        )
    if len(named) > 1:
        raise UsageError(f"{path}, line {named[1][0]}: a second camera; name one a file, and give several files")
    return camera


def _named_camera(line: str) -> Address | None:
    named = NAMED.fullmatch(line)
    if named is None:
        return _camera(line)
    camera = _camera(named["address"])
    name = named["name"].strip()
    if len(name) > LONGEST_NAME:
        raise UsageError(f"the name before the address is longer than {LONGEST_NAME} characters")
    return None if camera is None else replace(camera, name=strip_invisible(name))


def _lines(path: Path) -> list[str]:
    """Returns the lines of a file without comments; a # inside an address does not start one."""
    try:
        with path.open("rb") as file:
            data = file.read(CAMERA_FILE_BYTES + 1)
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text file; it should hold a webcam number or an address") from error
    if len(data) > CAMERA_FILE_BYTES:
        raise UsageError(f"{path} is too long to name one camera; write a webcam number or an address")
    return [re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip() for line in text.splitlines()]


def _unique(addresses: list[Address]) -> list[Address]:
    """Makes names unique: files show more of their path, remaining duplicates are numbered."""
    addresses = _lengthened(addresses)
    taken: set[str] = set()
    unique: list[Address] = []
    for address in addresses:
        unique.append(replace(address, name=_free(address.name, taken)))
        taken.add(unique[-1].name)
    return unique


def _lengthened(addresses: list[Address]) -> list[Address]:
    while True:
        counts = Counter(address.name for address in addresses)
        longer = [_longer(a) if counts[a.name] > 1 else a for a in addresses]
        if longer == addresses:
            return addresses
        addresses = longer


def _longer(address: Address) -> Address:
    if address.kind != "file":
        return address
    parts = Path(strip_invisible(address.location)).parts
    depth = len(Path(address.name).parts) + 1
    return replace(address, name=Path(*parts[-depth:]).as_posix())


def _free(name: str, taken: set[str]) -> str:
    candidates = (name if number == 1 else f"{name} ({number})" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)
