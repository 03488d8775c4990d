"""An alarm is spoken for the console as it is in alerts."""

import asyncio
import io
import wave
from pathlib import Path

import httpx
import pytest
from app.api.speech import SpokenSentences
from app.problems import UnavailableError

from api_service import EVENT


def test_an_event_is_spoken_in_both_languages(asking: httpx.Client) -> None:
    wavs = {}
    for language in ("zh", "en"):
        answer = asking.get(f"/events/{EVENT}/speech", params={"language": language})
        assert answer.status_code == 200 and answer.headers["content-type"] == "audio/wav"
        with wave.open(io.BytesIO(answer.content)) as sound:
            assert sound.getnframes() > sound.getframerate()
        wavs[language] = answer.content
    assert wavs["zh"] != wavs["en"]
    assert asking.get(f"/events/{EVENT}/speech").content == wavs["en"]


def test_what_cannot_be_spoken_is_told(asking: httpx.Client) -> None:
    assert asking.get("/events/nothing/speech").status_code == 404
    assert asking.get(f"/events/{EVENT}/speech", params={"language": "fr"}).status_code == 422


def test_a_sentence_is_made_once_and_the_oldest_gives_way() -> None:
    async def speak() -> tuple[int, int]:
        sentences = SpokenSentences(most=2)
        wavs = await asyncio.gather(*(sentences.wav("one", "en") for _ in range(5)))
        assert len(set(wavs)) == 1
        once = sentences.made
        for word in ("two", "three", "one"):
            await sentences.wav(word, "en")
        return once, sentences.made

    assert asyncio.run(speak()) == (1, 4)


def test_without_the_program_the_answer_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"espeak-ng.*apt-get install espeak-ng"):
        asyncio.run(SpokenSentences().wav("one", "en"))
