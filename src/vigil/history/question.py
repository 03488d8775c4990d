"""A question to the past as it is understood: its time, its cameras, and the words that are left to look for.

question = read_question("昨晚十点后门口有人打架吗", cameras, now=datetime.now())
question.span          # from when until when, of which cameras
question.words         # 打架
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from vigil.errors import UsageError
from vigil.history.time_phrases import MAYBE_AFTER, TimeRange, find_time_range
from vigil.store.cameras import CameraRecord
from vigil.store.ranked_search import HistorySpan

LONGEST_QUESTION = 2000

ZH_STOP = (
    "有没有 是不是 是否 什么时候 几点 哪里 哪儿 哪个 哪些 哪 谁 什么 怎么 为什么 多少 "
    "有人 有过 发生 出现 看到 看见 请问 告诉我 一下 左右 时候 期间 之间 情况 事情 摄像头 "
    "监控 镜头 录像 吗 呢 吧 啊 么 的 了 过 着 是 有 在 里 被 把 和 与 都 也 还 没 不 请 "
    "我 几 "
)
EN_STOP = (
    "a an the is are was were be been being do does did done has have had there here who whom whose what when "
    "where which why how any anyone anybody anything some someone somebody something people person and or of in "
    "on at to from by with about between during into it its they them their he she his her you i we us me my our "
    "please tell show happen happens happened happening see seen saw come came go went gone get got near around "
    "after before since until this that these those not no yes camera cameras footage recorded recording will "
    "would can could ever just also "
)
"""Words that say how it is asked, not what for."""

ZH_STOP_WORDS = sorted(ZH_STOP.split(), key=len, reverse=True)
EN_STOP_WORDS = frozenset(EN_STOP.split())

WORD = re.compile(r"[a-z0-9']+")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuestion:
    """A question and what it is about.

    `words` are what is left to look for, empty for "what happened?". `cameras` are those it names, none for all.
    `said_time` is whether the times are the question's or an option's, not simply everything that is stored.
    """

    text: str
    span: HistorySpan
    cameras: tuple[CameraRecord, ...] = ()
    words: str = ""

    @property
    def said_time(self) -> bool:
        """Whether it is about a certain time."""
        return bool(self.span.since_utc or self.span.until_utc)


def read_question(
    text: str,
    cameras: Sequence[CameraRecord],
    *,
    now: datetime,
    since_utc: str | None = None,
    until_utc: str | None = None,
    camera: str = "",
    place: str = "",
) -> HistoryQuestion:
    """Reads the time and the cameras that a question names; what is given beside it counts instead.

    `now` is local time without a zone. Raises UsageError if the question is empty or longer than 2000 characters, or no
    camera has that id, name or place.
    """
    asked = " ".join(unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode()).split())
    if not asked:
        raise UsageError("the question is empty; write what you want to know")
    if len(asked) > LONGEST_QUESTION:
        raise UsageError(f"the question has {len(asked)} characters; {LONGEST_QUESTION} are the most: shorten it")
    named, rest = _named_cameras(asked, cameras)
    chosen = _chosen(cameras, camera=camera, place=place) if camera or place else named
    said = find_time_range(rest, now)
    rest = rest if said is None else said.rest
    if since_utc or until_utc:
        said = None
    return HistoryQuestion(
        text=asked, span=_span(said, since_utc, until_utc, chosen), cameras=tuple(chosen), words=content_words(rest)
    )


def _span(
    said: TimeRange | None, since_utc: str | None, until_utc: str | None, cameras: Sequence[CameraRecord]
) -> HistorySpan:
    return HistorySpan(
        since_utc=said.since_utc if said else since_utc,
        until_utc=said.until_utc if said else until_utc,
        camera_ids=tuple(camera.id for camera in cameras),
    )


def _chosen(cameras: Sequence[CameraRecord], *, camera: str, place: str) -> list[CameraRecord]:
    found = [
        each
        for each in cameras
        if (not camera or camera in (each.id, each.name)) and (not place or place == each.place)
    ]
    if not found:
        words = " ".join(filter(None, [camera and f"{camera!r}", place and f"at {place!r}"]))
        raise UsageError(f"there is no camera {words}; `vigil cameras list` shows those there are")
    return found


def _named_cameras(text: str, cameras: Sequence[CameraRecord]) -> tuple[list[CameraRecord], str]:
    """The cameras whose name, place or id stands in a text, the longest first, and the text without them.

    A name that is part of a longer one that was found does not count: in 后门口 the camera 门口 is not meant.
    """
    labels: dict[str, list[CameraRecord]] = {}
    for each in cameras:
        for label in {each.name, each.place, each.id} - {""}:
            folded = unicodedata.normalize("NFKC", label).casefold().strip()
            if folded:
                labels.setdefault(folded, []).append(each)
    found: list[CameraRecord] = []
    for label in sorted(labels, key=len, reverse=True):
        pattern = _name_pattern(label)
        if pattern.search(text):
            found += [each for each in labels[label] if each not in found]
            text = pattern.sub(MAYBE_AFTER if label.startswith("后") else " ", text)
    return found, text


def _name_pattern(label: str) -> "re.Pattern[str]":
    """A name in letters stands alone: a camera called `a` is not in every word."""
    edges = (r"(?<![a-z0-9])", r"(?![a-z0-9])") if label.isascii() else ("", "")
    return re.compile(f"{edges[0]}{re.escape(label)}{edges[1]}", re.IGNORECASE)


def content_words(text: str) -> str:
    """The words of a question that say what to look for."""
    folded = text.casefold().replace(MAYBE_AFTER, " ")
    for word in ZH_STOP_WORDS:
        folded = folded.replace(word, " ")
    kept = WORD.sub(lambda found: "" if found[0] in EN_STOP_WORDS else found[0], folded)
    return " ".join(word for word in re.sub(r"[^\w']|_", " ", kept).split() if word != "人")
