"""Reads sharegpt files of any origin: each row is one question about one video, and its answer.

    [{"messages": [{"role": "user", "content": "<video>..."}, {"role": "assistant", "content": "是的，..."}],
      "videos": ["clips/fight/a.mp4"]}]

A file is a JSON list or JSON lines. Names of columns and tags come from the file's entry in `dataset_info.json`, or
are recognised in the rows. An unusable row is reported with its number and the reason; the other rows are still read.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from vigil.dataset.folder import read_dataset_info
from vigil.dataset.ownership import REGISTRY_NAME
from vigil.errors import DatasetError, UsageError
from vigil.files import read_json
from vigil.special_tokens import special_token_in

LIST_BYTES_MAX = 256 * 1024**2
"""A JSON list is read at once and takes about ten times its size in memory; JSON lines are read one by one."""

LINE_BYTES_MAX = 4 * 1024**2
MARK = "<video>"
OTHER_MARKS = ("<image>", "<audio>")
SHOWN_CHARS = 80
COLUMN_NAMES = {"messages": ("messages", "conversations"), "videos": ("videos",), "images": ("images",)}
TAG_NAMES = {"role_tag": ("role", "from"), "content_tag": ("content", "value")}
ROLES = {"user_tag": ("user", "human"), "assistant_tag": ("assistant", "gpt"), "system_tag": ("system",)}


@dataclass(frozen=True, slots=True)
class SharegptLayout:
    """Names of columns and tags in an entry of `dataset_info.json`; missing ones are recognised in the rows."""

    columns: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    media_dir: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharegptRow:
    """One question about one video, and its answer; `has_system` if the row has a system prompt."""

    number: int
    video: str
    question: str
    answer: str
    has_system: bool = False


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that cannot be used: its number, counted from 1, and the reason."""

    number: int
    why: str

    def __str__(self) -> str:
        return f"row {self.number}: {self.why}"


def find_layout(file: Path, registry: Path | None) -> SharegptLayout:
    """The layout of a file according to `registry`, by default the `dataset_info.json` beside it.

    Raises UsageError if a given registry does not exist or has no entry for the file, or if the entry is not sharegpt.
    """
    path = registry or file.parent / REGISTRY_NAME
    if registry is not None and not registry.is_file():
        raise UsageError(f"--dataset-info: there is no file {registry}")
    entry = _entry_of(file, path)
    if entry is None:
        if registry is not None:
            raise UsageError(f"{registry} has no entry whose file_name is {file.name}")
        return SharegptLayout()
    formatting = entry.get("formatting", "alpaca")
    if formatting not in {"sharegpt", "openai"}:
        raise UsageError(f"{path} says that {file.name} is {shown(formatting)}; only sharegpt can be imported")
    return SharegptLayout(_texts(entry.get("columns")), _texts(entry.get("tags")), str(entry.get("media_dir") or ""))


def _entry_of(file: Path, registry: Path) -> Mapping[str, Any] | None:
    named = [entry for entry in read_dataset_info(registry).values() if isinstance(entry, dict)]
    names = {file.name, os.path.relpath(file.absolute(), registry.absolute().parent)}
    return next((entry for entry in named if str(entry.get("file_name")).replace("\\", "/") in names), None)


def _texts(value: Any) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else {}


def read_rows(file: Path, layout: SharegptLayout) -> Iterator[SharegptRow | RefusedRow]:
    """The rows of a file in order; raises DatasetError if it is neither a JSON list nor JSON lines."""
    for number, row in enumerate(_raw_rows(file), start=1):
        try:
            yield row if isinstance(row, RefusedRow) else _Reader(layout).read(number, row)
        except UnusableRow as reason:
            yield RefusedRow(number, str(reason))


def _raw_rows(file: Path) -> Iterator[Any]:
    if not file.is_file():
        raise UsageError(f"there is no file {file}; name a JSON file in sharegpt form")
    with file.open("rb") as opened:
        head = opened.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith(b"["):
        yield from _lines(file)
        return
    if file.stat().st_size > LIST_BYTES_MAX:
        raise DatasetError(
            f"{file} is a list of more than {LIST_BYTES_MAX // 1024**2} MiB, which takes too much memory; write it as "
            "JSON lines, one row a line, which are read one by one"
        )
    yield from _list(file)


def _list(file: Path) -> list[Any]:
    rows = read_json(file)
    if not isinstance(rows, list):
        raise DatasetError(f"{file} must hold a list of rows")
    return rows


def _lines(file: Path) -> Iterator[Any]:
    with file.open("rb") as opened:
        for number, line in enumerate(_bounded_lines(opened), start=1):
            yield _parse_line(file, number, line)


def _parse_line(file: Path, number: int, line: bytes) -> Any:
    if not line:
        return RefusedRow(number, f"is a line of more than {LINE_BYTES_MAX // 1024**2} MiB")
    try:
        return json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except (ValueError, RecursionError) as error:
        if number == 1:
            raise DatasetError(f"{file} is neither a JSON list nor JSON lines in UTF-8: {error}") from error
        return RefusedRow(number, f"is not JSON: {error}")


def _bounded_lines(opened: IO[bytes]) -> Iterator[bytes]:
    """The lines that are not blank; an empty one stands for a line longer than LINE_BYTES_MAX."""
    while line := opened.readline(LINE_BYTES_MAX):
        is_whole = line.endswith(b"\n") or len(line) < LINE_BYTES_MAX
        while not is_whole and (more := opened.readline(LINE_BYTES_MAX)):
            is_whole, line = more.endswith(b"\n"), b""
        if line.strip() or not line:
            yield line


class UnusableRow(Exception):
    """A row cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one row according to a layout."""

    layout: SharegptLayout

    def read(self, number: int, row: Any) -> SharegptRow:
        if not isinstance(row, dict):
            raise UnusableRow(f"is {_kind(row)} and not an object with messages and videos")
        turns, has_system = self._turns(row)
        video = self._video(row)
        question, answer = self._question(turns[0][1]), self._answer(turns[1][1])
        return SharegptRow(number=number, video=video, question=question, answer=answer, has_system=has_system)

    def _turns(self, row: Mapping[str, Any]) -> tuple[list[tuple[str, str]], bool]:
        """(role, text) of each message without system prompts, and whether there was a system prompt."""
        messages = self._column(row, "messages")
        if not isinstance(messages, list) or not messages:
            raise UnusableRow(f"has no list of messages (its columns: {shown(', '.join(map(str, row)))})")
        all_turns = [self._turn(message) for message in messages]
        turns = [turn for turn in all_turns if turn[0] != "system_tag"]
        roles = [role for role, _ in turns]
        if roles == ["assistant_tag", "user_tag"]:
            raise UnusableRow("the answer comes before the question: are user_tag and assistant_tag swapped?")
        if roles != ["user_tag", "assistant_tag"]:
            raise UnusableRow(f"has {len(turns)} messages; one question and one answer are needed")
        has_system = len(turns) < len(all_turns) or bool(row.get(self.layout.columns.get("system", "system")))
        return turns, has_system

    def _turn(self, message: Any) -> tuple[str, str]:
        if not isinstance(message, dict):
            raise UnusableRow(f"a message is {_kind(message)} and not an object")
        role, text = (self._tag(message, tag) for tag in TAG_NAMES)
        if not isinstance(text, str):
            raise UnusableRow(f"what is said is {_kind(text)} and not a text")
        meant = {tag: (self.layout.tags[tag],) if tag in self.layout.tags else known for tag, known in ROLES.items()}
        found = next((tag for tag, names in meant.items() if role in names), None)
        if found is None:
            raise UnusableRow(
                f"a message is by {shown(role)}; known are {', '.join(n for ns in meant.values() for n in ns)}"
            )
        return found, _sound(text).strip()

    def _column(self, row: Mapping[str, Any], name: str) -> Any:
        return _first(row, self.layout.columns.get(name), COLUMN_NAMES[name])

    def _tag(self, message: Mapping[str, Any], name: str) -> Any:
        return _first(message, self.layout.tags.get(name), TAG_NAMES[name])

    def _video(self, row: Mapping[str, Any]) -> str:
        if self._column(row, "images"):
            raise UnusableRow("shows images; each row must show one video and nothing else")
        videos = self._column(row, "videos")
        if videos is None or videos == []:
            raise UnusableRow("names no video")
        if isinstance(videos, list) and len(videos) > 1:
            raise UnusableRow(f"names {len(videos)} videos; one row must show one video")
        video = videos[0] if isinstance(videos, list) else videos
        if isinstance(video, list):
            raise UnusableRow("its video is a list of extracted frames; the video file itself is needed")
        if not isinstance(video, str) or not video.strip():
            raise UnusableRow(f"its video is {_kind(video)} and not the name of a file")
        return _sound(video, encode=os.fsencode).strip()

    def _question(self, text: str) -> str:
        if text.count(MARK) != 1:
            raise UnusableRow(
                f"the question holds {MARK} {text.count(MARK)} times; once is needed, in place of the video"
            )
        question = text.replace(MARK, "").strip()
        other = next((mark for mark in OTHER_MARKS if mark in question), None)
        if other:
            raise UnusableRow(f"the question holds {other}; each row must show one video and nothing else")
        if mark := special_token_in(question):
            raise UnusableRow(f"the question holds {mark}, which a model reads as a special token; remove it")
        if not question:
            raise UnusableRow("the question is empty")
        return question

    def _answer(self, text: str) -> str:
        mark = special_token_in(text)
        if mark in (MARK, *OTHER_MARKS):
            raise UnusableRow(f"the answer holds {mark}, which belongs in the question")
        if mark:
            raise UnusableRow(f"the answer holds {mark}, which a model reads as a special token; remove it")
        if not text:
            raise UnusableRow("the answer is empty")
        return text


def _first(record: Mapping[str, Any], named: str | None, known: Iterable[str]) -> Any:
    return next((record[name] for name in ((named,) if named else known) if name in record), None)


def _sound(text: str, *, encode: Callable[[str], bytes] = str.encode) -> str:
    """The text, if it can be encoded; raises UnusableRow otherwise. With os.fsencode, file names need not be UTF-8."""
    try:
        encode(text)
    except UnicodeEncodeError as error:
        raise UnusableRow("holds half a character (a lone surrogate)") from error
    return text


def _kind(value: Any) -> str:
    kinds = {"dict": "an object", "list": "a list", "str": "an empty text", "NoneType": "nothing", "bool": "yes or no"}
    return kinds.get(type(value).__name__, "a number")


def shown(value: Any) -> str:
    """An untrusted text for messages: on one line, truncated, without terminal control characters."""
    line = " ".join(str(value).split())
    short = line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS]}..."
    return short if short.isprintable() else ascii(short)
