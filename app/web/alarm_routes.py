"""The `/alarms/LANGUAGE` route that every page subscribes to: long polling or a stream of server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from ..language import Translator, choose_language, translator
from . import notifications
from .alarm_stream import AlarmStream, StreamedAlarm

HOLD_S = 25.0
"""How long a long-polling request waits for an alarm, and how long a stream lasts; then the page reconnects."""

EVENTS = "text/event-stream"
NOT_KEPT = {"Cache-Control": "no-store"}


def add_route(app: FastAPI, stream: AlarmStream) -> None:
    """Adds the `/alarms/{language}` route to the application."""

    @app.get("/alarms/{language}")
    async def alarms(request: Request, language: str, seen: str = "") -> Response:
        t = translator(choose_language(language, ""))
        if EVENTS in request.headers.get("accept", ""):
            last_id = request.headers.get("last-event-id", "")
            cursor = seen or await asyncio.to_thread(stream.cursor_at, last_id)
            return StreamingResponse(_stream(stream, cursor, t), media_type=EVENTS, headers=NOT_KEPT)
        await stream.wait(seen, hold_s=HOLD_S)
        cursor, new_alarms = await asyncio.to_thread(stream.since, seen)
        return JSONResponse({"seen": cursor, "alarms": [_payload(each, t) for each in new_alarms]}, headers=NOT_KEPT)


async def _stream(stream: AlarmStream, cursor: str, t: Translator) -> AsyncIterator[str]:
    """Yields alarms as they arrive, and ends after `HOLD_S`: a browser reconnects by itself with its last event id."""
    yield "retry: 1000\n\n"
    give_up_s = asyncio.get_running_loop().time() + HOLD_S
    while (left_s := give_up_s - asyncio.get_running_loop().time()) > 0:
        await stream.wait(cursor, hold_s=left_s)
        cursor, new_alarms = await asyncio.to_thread(stream.since, cursor)
        for each in new_alarms:
            number = "" if each.sequence is None else f"id: {each.sequence}\n"
            yield f"{number}event: alarm\ndata: {json.dumps(_payload(each, t), ensure_ascii=False)}\n\n"


def _payload(alarm: StreamedAlarm, t: Translator) -> dict[str, str]:
    return notifications.payload(alarm.event, t, key=alarm.key, late=alarm.late)
