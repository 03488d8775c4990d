"""A report as Markdown, in English or Chinese: tables of counts, then what asks for somebody.

What cameras, models and people have written is escaped, so that it is text in whatever shows the Markdown.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from vigil.events import Event
from vigil.history.answer import HistoryAnswer
from vigil.history.citations import local_clock
from vigil.history.shift_report import CameraShift, ShiftReport, onset_of

Language: TypeAlias = Literal["en", "zh"]

LONGEST_TEXT = 160
MOST_LISTED = 50
SPECIAL = re.compile(r"([\\`*_\[\]<>|#!~])")

WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "title": "Report: {span}", "events": "events", "missed": "Missed incidents",
        "summary": "Summary", "by": "Worded by {model} from the records named; check them.",
        "unsupported": "(rests on no record)", "camera": "camera", "place": "place", "high": "high", "medium": "medium",
        "low": "low", "judged": "judged", "unknown": "windows without a verdict", "rule": "rule", "hour": "hour",
        "marks": "Marks", "true": "true", "false_alarm": "false alarm", "unsure": "unsure", "unmarked": "unmarked",
        "unseen": "Nobody looked at", "all_seen": "Somebody has looked at every event.", "when": "when",
        "tier": "tier", "what": "what", "outages": "Not judged", "no_outages": "No camera was away for ten minutes.",
        "nothing": "Nothing was recorded.", "more": "{count} more are not listed.", "event": "event",
        "cut": "There are more than 10,000 events: the newest are counted.", "not_described": "not described",
        "steps": "Counted in steps of five minutes.",
        "counts": "Events: {events}. Observations: {observations}. Missed incidents: {missed}.",
    },
    "zh": {
        "title": "值守报告：{span}", "events": "事件", "missed": "漏报", "summary": "摘要",
        "counts": "事件：{events}。观察：{observations}。漏报：{missed}。",
        "by": "由 {model} 根据所列记录撰写，请核对。", "unsupported": "（没有依据）", "camera": "摄像头",
        "place": "位置", "high": "高", "medium": "中", "low": "低", "judged": "已判断", "unknown": "无结论的窗口",
        "rule": "规则", "hour": "小时", "marks": "标记", "true": "属实", "false_alarm": "误报", "unsure": "不确定",
        "unmarked": "未标记", "unseen": "无人查看", "all_seen": "所有事件都有人看过。", "when": "时间",
        "tier": "级别", "what": "内容", "outages": "没有判断的时段", "no_outages": "没有摄像头中断超过十分钟。",
        "nothing": "没有记录。", "more": "另有 {count} 个未列出。", "event": "事件",
        "cut": "事件超过 10,000 个，只统计最新的。", "not_described": "没有文字描述", "steps": "以五分钟为单位统计。",
    },
}  # fmt: skip


def report_markdown(report: ShiftReport, *, language: Language = "en", summary: HistoryAnswer | None = None) -> str:
    """The whole report; `summary` is a model's answer to what happened, with its records."""
    words = WORDS[language]
    counts = words["counts"].format(
        events=len(report.events), observations=report.observations, missed=len(report.missed)
    )
    parts = [f"# {report_title(report, language=language)}", counts, words["cut"] if report.is_cut else ""]
    parts += _summary(summary, words) if summary is not None else []
    if not report.events and not report.observations and not report.missed:
        parts.append(words["nothing"])
    parts += [_cameras(report.cameras, words), _counts(report, words), f"## {words['unseen']}", _unseen(report, words)]
    parts += [_missed(report, words), f"## {words['outages']}", _outages(report.cameras, words)]
    return "\n\n".join(part for part in parts if part) + "\n"


def report_title(report: ShiftReport, *, language: Language = "en") -> str:
    """A line such as `Report: 2026-11-29 22:00 to 2026-11-30 06:00`."""
    span = f"{report.span.since:%Y-%m-%d %H:%M} – {report.span.until:%Y-%m-%d %H:%M}"
    return WORDS[language]["title"].format(span=span)


def _summary(answer: HistoryAnswer, words: Mapping[str, str]) -> list[str]:
    if not answer.sentences:
        return []
    lines = [f"{_text(each.text)} {_refs(each.refs, words)}" for each in answer.sentences]
    cited = {ref for each in answer.sentences for ref in each.refs}
    records = [
        f"- {each.ref}: {local_clock(each.happened_utc):%m-%d %H:%M:%S}, {_text(each.camera)}, "
        f"{_text(each.text) or words['not_described']} ({each.id})"
        for each in answer.found.records
        if each.ref in cited
    ]
    by = words["by"].format(model=_text(answer.model))
    return [f"## {words['summary']}", "\n".join(lines), "\n".join(records), f"*{by}*"]


def _refs(refs: Sequence[str], words: Mapping[str, str]) -> str:
    return f"({', '.join(refs)})" if refs else words["unsupported"]


def _cameras(cameras: Sequence[CameraShift], words: Mapping[str, str]) -> str:
    head = [words[key] for key in ("camera", "place", "high", "medium", "low", "judged", "unknown")]
    rows = [
        [
            _text(each.camera.name),
            _text(each.camera.place),
            *(str(each.tiers.get(tier, 0)) for tier in ("high", "medium", "low")),
            f"{each.judged_s / 3600:.1f} h",
            f"{each.unknown_windows} / {each.windows}",
        ]
        for each in cameras
    ]
    return _table(head, rows)


def _counts(report: ShiftReport, words: Mapping[str, str]) -> str:
    rules = [[_text(rule), str(count)] for rule, count in sorted(report.rules.items(), key=lambda pair: -pair[1])]
    hours = [[f"{hour:02d}", str(count)] for hour, count in sorted(report.hours.items())]
    marks = [[words.get(mark, mark), str(count)] for mark, count in sorted(report.marks.items())]
    tables = [
        _table([words[name], words["events"]], rows)
        for name, rows in (("rule", rules), ("hour", hours), ("marks", marks))
    ]
    return "\n\n".join(filter(None, tables))


def _unseen(report: ShiftReport, words: Mapping[str, str]) -> str:
    if not report.unseen:
        return words["all_seen"]
    head = [words[key] for key in ("when", "camera", "tier", "what", "event")]
    rows = [
        [
            _when(each, report),
            _text(each.source),
            words[each.tier.value],
            _text(each.text) or words["not_described"],
            each.id,
        ]
        for each in report.unseen[:MOST_LISTED]
    ]
    more = len(report.unseen) - len(rows)
    return "\n\n".join(filter(None, [_table(head, rows), words["more"].format(count=more) if more else ""]))


def _missed(report: ShiftReport, words: Mapping[str, str]) -> str:
    if not report.missed:
        return ""
    rows = [
        [f"{local_clock(each.from_utc, zone=report.zone):%m-%d %H:%M:%S}", _text(each.source), _text(each.note)]
        for each in report.missed
    ]
    return f"## {words['missed']}\n\n" + _table([words["when"], words["camera"], words["what"]], rows)


def _outages(cameras: Sequence[CameraShift], words: Mapping[str, str]) -> str:
    lines = [
        f"- {_text(each.camera.name)}: " + ", ".join(f"{_clock(begin)} – {_clock(end)}" for begin, end in each.outages)
        for each in cameras
        if each.outages
    ]
    return "\n".join([*lines, "", words["steps"]]) if lines else words["no_outages"]


def _when(event: Event, report: ShiftReport) -> str:
    onset = onset_of(event, zone=report.zone)
    return f"{event.onset_s:.1f} s" if onset is None else f"{onset:%m-%d %H:%M:%S}"


def _clock(moment: datetime) -> str:
    return f"{moment:%m-%d %H:%M}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _text(text: str) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_TEXT]
    return SPECIAL.sub(r"\\\1", plain)
