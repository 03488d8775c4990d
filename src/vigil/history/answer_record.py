"""An answer to a question as a record of plain values: the form that the command line prints and the service sends."""

from typing import Any

from vigil.history.answer import HistoryAnswer
from vigil.history.question import HistoryQuestion
from vigil.history.records import FoundRecords, HistoryRecord


def answer_record(answer: HistoryAnswer) -> dict[str, Any]:
    """All of an answer: what was understood, what was found, and each sentence with its records."""
    return found_record(answer.question, answer.found) | {
        "outcome": answer.outcome,
        "sentences": [{"text": each.text, "refs": list(each.refs)} for each in answer.sentences],
        "unknown_refs": list(answer.unknown_refs),
        "left_out": answer.left_out,
        "model": answer.model,
        "trouble": answer.trouble,
    }


def found_record(question: HistoryQuestion, found: FoundRecords) -> dict[str, Any]:
    """What was understood of a question, and the records that were found."""
    return {
        "question": question.text,
        "since_utc": question.span.since_utc,
        "until_utc": question.span.until_utc,
        "cameras": [{"camera_id": each.id, "name": each.name, "place": each.place} for each in question.cameras],
        "words": question.words,
        "events": found.events,
        "observations": found.observations,
        "watches": found.watches,
        "meaning": found.meaning,
        "unindexed": found.unindexed,
        "records": [_record(each) for each in found.records],
    }


def _record(record: HistoryRecord) -> dict[str, Any]:
    return {
        "ref": record.ref,
        "kind": record.kind,
        "id": record.id,
        "camera_id": record.camera_id,
        "camera": record.camera,
        "place": record.place,
        "happened_utc": record.happened_utc,
        "until_utc": record.until_utc or None,
        "text": record.text,
        "rule": record.rule,
        "tier": record.tier,
        "mark": record.mark,
        "score": round(record.score, 3),
    }
