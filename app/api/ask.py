"""`POST /ask` and `POST /ask/stream`: questions to the past, answered from the store (docs/ask.md).

Who asked what is written into the audit table: a question says which person or which hour somebody looked for.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from vigil.errors import VigilError, redact
from vigil.history import FoundRecords, HistoryAnswer, HistoryQuestion, answer_question, find_records, read_question
from vigil.history import whole_answer as whole_history_answer
from vigil.history.answer_record import answer_record, found_record
from vigil.judge import Endpoint
from vigil.store.times import parse_time

from ..principal import Principal
from .ask_schemas import AnswerOut, NewQuestion
from .auth import EventReader, write_down
from .context import ApiContext
from .request_queue import RequestQueue
from .schemas import problems

BUSY = "too many questions are being answered already; ask again in a few seconds"
LINES = "application/x-ndjson"


def ask_router(context: ApiContext) -> APIRouter:
    """The routes of questions to the past."""
    router = APIRouter(tags=["ask"])
    queue = RequestQueue(told=BUSY)

    @router.post("/ask", response_model=AnswerOut, responses=problems(400, 413, 503))
    async def ask(caller: EventReader, said: NewQuestion) -> AnswerOut:
        """Answers a question from recorded events and observations, each sentence with the records it rests on."""
        async with queue.place():
            asked, found = await asyncio.to_thread(_found, context, said, caller)
            answer = await whole_history_answer(asked, found, _endpoint(context, said))
        return AnswerOut.model_validate(_told(answer))

    @router.post(
        "/ask/stream",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Lines of JSON: `found`, then any `piece`, and last `answer`", "content": {LINES: {}}},
            **problems(400, 413, 503),
        },
    )
    async def ask_stream(caller: EventReader, said: NewQuestion) -> StreamingResponse:
        """The same, line by line: what was found, the pieces of the model's answer, and last the checked answer."""
        queue.refuse_if_full()
        asked, found = await asyncio.to_thread(_found, context, said, caller)
        lines = _lines(queue, asked, found, _endpoint(context, said))
        return StreamingResponse(
            lines, media_type=LINES, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )

    return router


def _found(context: ApiContext, said: NewQuestion, caller: Principal) -> tuple[HistoryQuestion, FoundRecords]:
    """What is asked and found; raises UsageError for what cannot be asked."""
    store = context.store
    write_down("ask", caller, question=said.question, since=said.since, until=said.until, camera=said.camera)
    asked = read_question(
        said.question,
        store.cameras.all(),
        now=datetime.now(),
        since_utc=parse_time(said.since, option="since") if said.since.strip() else None,
        until_utc=parse_time(said.until, option="until") if said.until.strip() else None,
        camera=said.camera,
        place=said.place,
    )
    searcher = context.site.meaning
    index = searcher.index(store) if said.meaning and asked.words else None
    found = find_records(store, asked, limit=said.limit, meaning=index)
    return asked, replace(found, meaning=searcher.use if said.meaning else "off")


def _endpoint(context: ApiContext, said: NewQuestion) -> Endpoint | None:
    return context.site.endpoint if said.model else None


async def _lines(
    queue: RequestQueue, asked: HistoryQuestion, found: FoundRecords, endpoint: Endpoint | None
) -> AsyncIterator[bytes]:
    yield _line({"found": found_record(asked, found)})
    try:
        async with queue.place(), aclosing(answer_question(asked, found, endpoint)) as steps:
            async for step in steps:
                yield _line({"answer": _told(step)} if isinstance(step, HistoryAnswer) else {"piece": step})
    except VigilError as error:
        yield _line({"problem": redact(str(error))})


def _told(answer: HistoryAnswer) -> dict[str, Any]:
    told = answer_record(answer)
    return told | {"trouble": redact(told["trouble"])}


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False).encode() + b"\n"
