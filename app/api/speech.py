"""An alarm as a spoken sentence, for the console: the words of its alert, made into a WAV by espeak-ng."""

import asyncio
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Query, Response

from vigil.alerts.message import message_of
from vigil.alerts.speech import VOICES, find_espeak, write_speech
from vigil.errors import DeliveryError, UsageError
from vigil.store import CameraRecord
from vigil.store.event_record import event_record

from ..problems import UnavailableError
from .auth import EventReader
from .context import ApiContext
from .events import EventPath, find_event
from .schemas import problems

MOST_KEPT = 64
DEADLINE_S = 10.0

SpeechLanguage = Literal["en", "zh"]
WAV = {"description": "The sentence as a WAV", "content": {"audio/wav": {}}}


class SpokenSentences:
    """Speaks sentences, one at a time, and keeps the last ones, so that they are not made again."""

    def __init__(self, *, most: int = MOST_KEPT) -> None:
        self.made = 0
        self._most = most
        self._kept: OrderedDict[tuple[str, SpeechLanguage], bytes] = OrderedDict()
        self._turn = asyncio.Lock()

    async def wav(self, sentence: str, language: SpeechLanguage) -> bytes:
        """The sentence as a WAV; raises UnavailableError without espeak-ng, or if it fails."""
        key = sentence, language
        async with self._turn:
            if key not in self._kept:
                self._kept[key] = await self._speak(sentence, language)
                self.made += 1
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return self._kept[key]

    async def _speak(self, sentence: str, language: SpeechLanguage) -> bytes:
        try:
            program = find_espeak()
            with TemporaryDirectory(prefix="vigil-speech-") as folder:
                path = Path(folder) / "alarm.wav"
                async with asyncio.timeout(DEADLINE_S):
                    await write_speech(sentence, path, program=program, voice=VOICES[language])
                return await anyio.to_thread.run_sync(path.read_bytes)
        except TimeoutError as error:
            raise UnavailableError(f"espeak-ng did not speak within {DEADLINE_S:g} s; try again") from error
        except (UsageError, DeliveryError, OSError) as error:
            raise UnavailableError(f"the alarm cannot be spoken: {error}") from error


def speech_router(context: ApiContext) -> APIRouter:
    """The route of spoken alarms."""
    router = APIRouter(tags=["events"])
    sentences = SpokenSentences()

    @router.get("/events/{event}/speech", response_class=Response, responses={200: WAV, **problems(404, 503)})
    async def speech(
        caller: EventReader, event: EventPath, language: Annotated[SpeechLanguage, Query()] = "en"
    ) -> Response:
        """The event as it is spoken, such as "Detected a fight, north gate, camera door, 14:32:15"."""
        sentence = await anyio.to_thread.run_sync(sentence_of, context, event, language)
        wav = await sentences.wav(sentence, language)
        return Response(wav, media_type="audio/wav", headers={"Cache-Control": "private, max-age=300"})

    return router


def sentence_of(context: ApiContext, event_id: str, language: SpeechLanguage) -> str:
    """What is said of an event, the same words as those of an alert; raises NotFoundError."""
    event = find_event(context.store, event_id)
    camera = CameraRecord(id=event.camera_id, name=event.source, place=event.place)
    return message_of(event_record(event), context.site.settings.alerts, camera=camera).spoken(language)
