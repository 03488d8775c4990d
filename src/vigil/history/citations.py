"""Checks what an answer cites: each sentence with the records it rests on, and no record that does not exist.

checked = check_citations("A fight at ten [E1]. Nobody else [E9].", records)
checked.sentences[0].refs      # ("E1",)
checked.unknown                # ("E9",), taken off
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from vigil.history.records import HistoryRecord

REF = r"[EOeo]\s?\d{1,4}"
CITED = re.compile(rf"\s*[\[【(（]\s*({REF}(?:\s*[,，、;和&]\s*(?:and\s+)?{REF})*)\s*[\]】)）]")
SENTENCE = re.compile(r".+?(?:[。！？!?]+|\.(?=\s|$)|\n|$)", re.DOTALL)
CLOCK = re.compile(r"(?<![\d:])(\d{1,2}):(\d{2})(?![\d])")


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """A sentence without its citations, and the records that it rests on; none if it rests on nothing."""

    text: str
    refs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer, sentence by sentence, and the citations that were taken off since there is no such record."""

    sentences: tuple[AnswerSentence, ...]
    unknown: tuple[str, ...]

    @property
    def cited(self) -> tuple[str, ...]:
        """All records that are cited, in the order in which they are."""
        return tuple(dict.fromkeys(ref for sentence in self.sentences for ref in sentence.refs))


def check_citations(answer: str, records: Sequence[HistoryRecord]) -> CheckedAnswer:
    """Divides an answer into sentences with the records of each.

    A sentence that cites none but names the time of one ("at 22:14") rests on that.
    """
    known = {record.ref for record in records}
    times = _times(records)
    plain, marks = _taken_out(answer)
    sentences, unknown = [], []
    for begin, end in _spans(plain):
        refs = [ref for at, some in marks if begin < at <= end for ref in some]
        unknown += [ref for ref in refs if ref not in known]
        text = plain[begin:end].strip()
        kept = [ref for ref in refs if ref in known] or _timed(text, times)
        if text.strip(" .。!?！？"):
            sentences.append(AnswerSentence(text, tuple(dict.fromkeys(kept))))
    unknown += [ref for at, some in marks if at == 0 for ref in some if ref not in known]
    return CheckedAnswer(tuple(sentences), tuple(dict.fromkeys(unknown)))


def local_clock(utc: str, *, zone: tzinfo | None = None) -> datetime:
    """A time of the store as the clocks of a zone show it, None for this machine's."""
    return datetime.fromisoformat(utc).astimezone(zone)


def _taken_out(answer: str) -> tuple[str, list[tuple[int, list[str]]]]:
    """The answer without its citations, and at which character of that each stood."""
    plain, marks, last = "", [], 0
    for found in CITED.finditer(answer):
        plain += answer[last : found.start()]
        marks.append((len(plain), [re.sub(r"\s", "", ref).upper() for ref in re.findall(REF, found[1])]))
        last = found.end()
    return plain + answer[last:], marks


def _spans(plain: str) -> Iterator[tuple[int, int]]:
    """Where each sentence begins and ends."""
    for found in SENTENCE.finditer(plain):
        yield found.span()


def _times(records: Sequence[HistoryRecord]) -> dict[tuple[int, int], str]:
    found: dict[tuple[int, int], str] = {}
    for record in records:
        moment = local_clock(record.happened_utc)
        found.setdefault((moment.hour, moment.minute), record.ref)
    return found


def _timed(text: str, times: dict[tuple[int, int], str]) -> list[str]:
    """The records whose minute a sentence names."""
    named = [(int(found[1]), int(found[2])) for found in CLOCK.finditer(text)]
    return [times[clock] for clock in named if clock in times]
