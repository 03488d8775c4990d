"""The summary of a report by the served model, from the records of its time, with the same checked citations."""

from vigil.history.answer import HistoryAnswer, whole_answer
from vigil.history.question import HistoryQuestion
from vigil.history.records import find_records
from vigil.history.report_markdown import Language
from vigil.history.shift_report import ShiftReport
from vigil.judge.endpoint import Endpoint
from vigil.store import Store
from vigil.store.ranked_search import HistorySpan

RECORDS = 40
ASKED = {
    "en": "Summarise what happened in this time, in three to five sentences, the most serious first.",
    "zh": "请用三到五句话概括这段时间发生的事情，最严重的放在前面。",
}


async def summarise(
    store: Store, report: ShiftReport, endpoint: Endpoint | None, *, language: Language = "en"
) -> HistoryAnswer:
    """The summary; `trouble` says why there is none."""
    span = HistorySpan(since_utc=report.span.since_utc, until_utc=report.span.until_utc)
    question = HistoryQuestion(text=ASKED[language], span=span)
    return await whole_answer(question, find_records(store, question, limit=RECORDS), endpoint)
